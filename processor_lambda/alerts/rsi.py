"""`rsi`: overbought or oversold."""

from __future__ import annotations

from typing import Annotated

import msgspec

from indicators import significant
from lane_state import Alert, Bar
from processor_lambda.alerts.rule import BarAlertRule, close_of
from processor_lambda.alerts.signals import Band, Signal

MIDDLE = 50


class Rsi(BarAlertRule, frozen=True, kw_only=True, tag="rsi"):
    """RSI 14 is over `above` (overbought) or under `below` (oversold)."""

    above: Annotated[float, msgspec.Meta(gt=50, lt=100)] = 70.0
    below: Annotated[float, msgspec.Meta(gt=0, lt=50)] = 30.0

    def signal(self, bar: Bar, *, follows_gap: bool) -> Signal | None:  # noqa: ARG002
        """The RSI. It goes off when it is back within `rearm` of its distance from 50."""
        value = bar.indicators.get("rsi_14")
        if value is None:
            return None
        upper_end = MIDDLE + (self.above - MIDDLE) * self.rearm
        lower_end = MIDDLE + (self.below - MIDDLE) * self.rearm
        return Signal(value, Band(self.above, upper_end, self.below, lower_end))

    def alert(self, bar: Bar, signal: Signal) -> Alert:
        """The alert about a bar."""
        is_overbought = signal.value > self.below
        condition = "overbought" if is_overbought else "oversold"
        return self.build_for_bar(
            bar,
            f"{bar.symbol} is {condition}: RSI {signal.value:.1f} at {close_of(bar)}",
            {"threshold": significant(self.above if is_overbought else self.below)},
            ("rsi_14",),
        )
