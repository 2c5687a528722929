"""`sma_crossover`: the short moving average crosses the long one."""

from __future__ import annotations

from indicators import significant
from lane_state import Alert, Bar
from processor_lambda.alerts.rule import BarAlertRule, Positive, close_of
from processor_lambda.alerts.signals import Signal, crossing


class SmaCrossover(BarAlertRule, frozen=True, kw_only=True, tag="sma_crossover"):
    """The 5-minute average crosses the 20-minute average by more than `margin_percent` of it."""

    margin_percent: Positive = 0.05

    def signal(self, bar: Bar, *, follows_gap: bool) -> Signal | None:  # noqa: ARG002
        """How far the short average is above the long one, in percent."""
        short, long = bar.indicators.get("sma_5"), bar.indicators.get("sma_20")
        if short is None or long is None or long <= 0:
            return None
        return Signal((short / long - 1) * 100, crossing(self.margin_percent))

    def alert(self, bar: Bar, signal: Signal) -> Alert:
        """The alert about a bar."""
        is_above = signal.value > 0
        movement = "rose above" if is_above else "fell below"
        return self.build_for_bar(
            bar,
            f"{bar.symbol}'s 5-minute average {movement} its 20-minute one, at {close_of(bar)}",
            {"margin_percent": significant(self.margin_percent if is_above else -self.margin_percent)},
            ("sma_5", "sma_20"),
        )
