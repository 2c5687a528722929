"""`volume_spike`: a minute with an unusual volume."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

from indicators import significant
from lane_state import Alert, Bar
from processor_lambda.alerts.rule import BarAlertRule, close_of
from processor_lambda.alerts.signals import Signal, one_sided


class VolumeSpike(BarAlertRule, frozen=True, kw_only=True, tag="volume_spike"):
    """The volume of a minute is more than `ratio` times its exponentially weighted mean.

    A bar that follows a gap of the feed, or a night, is not evaluated: its volume may be that of the whole gap.
    """

    ratio: Annotated[float, msgspec.Meta(gt=1, le=1e9)] = 10.0

    def signal(self, bar: Bar, *, follows_gap: bool) -> Signal | None:
        """The ratio of the volume to its mean."""
        value = bar.indicators.get("volume_ratio")
        return None if follows_gap or value is None else Signal(value, one_sided(self.ratio, self.rearm))

    def alert(self, bar: Bar, signal: Signal) -> Alert:
        """The alert about a bar."""
        volume = {} if bar.volume is None else {"volume": Decimal(bar.volume)}
        close = close_of(bar)
        return self.build_for_bar(
            bar,
            f"{bar.symbol} traded {bar.volume} in a minute, {signal.value:.1f} times its mean, at {close}",
            {"threshold": significant(self.ratio), **volume},
            ("volume_mean", "volume_ratio"),
        )
