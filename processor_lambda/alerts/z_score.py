"""`z_score`: a one-minute return is far from its usual size."""

from __future__ import annotations

from indicators import significant
from lane_state import Alert, Bar
from processor_lambda.alerts.rule import BarAlertRule, NotNegative, Positive, close_of
from processor_lambda.alerts.signals import Signal, symmetric


class ZScore(BarAlertRule, frozen=True, kw_only=True, tag="z_score"):
    """A one-minute return is more than `above` deviations from its exponentially weighted mean.

    A return under `least_percent` raises no alert: after a quiet hour, any tick is many deviations.
    """

    above: Positive = 6.0
    least_percent: NotNegative = 0.25

    def signal(self, bar: Bar, *, follows_gap: bool) -> Signal | None:  # noqa: ARG002
        """The z-score, or 0 if the return is too small to matter."""
        score = bar.indicators.get("z_score")
        if score is None:
            return None
        is_small = abs(bar.indicators["last_return"]) * 100 < self.least_percent
        return Signal(0.0 if is_small else score, symmetric(self.above, self.rearm))

    def alert(self, bar: Bar, signal: Signal) -> Alert:
        """The alert about a bar."""
        is_up = signal.value > 0
        direction = "up" if is_up else "down"
        close = close_of(bar)
        return self.build_for_bar(
            bar,
            f"{bar.symbol} moved {abs(signal.value):.1f} deviations {direction} in a minute, to {close}",
            {"threshold": significant(self.above if is_up else -self.above)},
            ("z_score", "last_return", "return_mean", "return_deviation"),
        )
