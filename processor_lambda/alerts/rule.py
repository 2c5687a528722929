"""What all alert rules share: their common fields, and how an alert is built. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Annotated, Literal, Self

import msgspec

from aws_limits import SNS_SUBJECT_LENGTH
from indicators import significant
from lane_state import Alert, Bar
from quotes import short_price, to_iso

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
NotNegative = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_-]{1,24}$")]
Severity = Literal["info", "warning", "critical"]


@cache
def _minutes(minutes: int) -> timedelta:
    return timedelta(minutes=minutes)  # cached: building it for each quote takes a seventieth of the quote's CPU


class AlertRule(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    """The fields of every rule. Each kind of alert is a subclass: its fields, its signal, and the text of its alerts.

    A kind has `signal(event) -> Signal | None`, which is None while the signal is unknown, and
    `alert(event, signal) -> Alert`.
    """

    name: Name | None = None
    """Part of the alerts' ids, and what a subscription filters on. The default is the kind."""
    severity: Severity = "warning"
    symbols: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    cooldown_minutes: Annotated[int, msgspec.Meta(ge=0, le=10_080)] = 60
    """After an alert, the same rule raises nothing for the same symbol for this long."""
    rearm: Share = 0.8
    """Hysteresis: a signal goes off when it is back within this share of its threshold."""

    @property
    def id(self) -> str:
        """The rule's name, or its kind."""
        return self.name or str(self.__struct_config__.tag)

    @property
    def cooldown(self) -> timedelta:
        """`cooldown_minutes` as a duration."""
        return _minutes(self.cooldown_minutes)

    def completed(self, anomaly_percent: float) -> Self:  # noqa: ARG002  (one kind takes a default from it)
        """The rule with the defaults that come from the function's settings."""
        return self

    def build(
        self,
        about: str,
        timestamp: str,
        subject: str,
        values: Mapping[str, Decimal],
        *,
        symbols: tuple[str, ...] = (),
    ) -> Alert:
        """An alert of this rule. `about` is a symbol, or a lane if the alert is about several `symbols`."""
        return Alert(
            id=f"{self.id}:{about}:{timestamp}",
            rule=self.id,
            severity=self.severity,
            symbol=about,
            timestamp=timestamp,
            subject=_shortened(subject),
            values=dict(values),
            symbols=symbols,
        )


class BarAlertRule(AlertRule, frozen=True, kw_only=True):
    """A rule that is evaluated when a bar closes.

    `signal(bar, follows_gap=…)`: a bar follows a gap if the feed was silent for longer than usual before it.
    """

    def build_for_bar(
        self, bar: Bar, subject: str, values: Mapping[str, Decimal], indicators: tuple[str, ...]
    ) -> Alert:
        """An alert about a bar: its close, the given values, and those of the indicators that are known."""
        known = {name: significant(bar.indicators[name]) for name in indicators if name in bar.indicators}
        return self.build(bar.symbol, to_iso(bar.minute), subject, {"close": bar.close, **values, **known})


def close_of(bar: Bar) -> str:
    """The close of a bar in the words of a subject."""
    return short_price(bar.close, bar.open, bar.high, bar.low)


def _shortened(subject: str) -> str:
    return subject if len(subject) <= SNS_SUBJECT_LENGTH else f"{subject[: SNS_SUBJECT_LENGTH - 3]}..."
