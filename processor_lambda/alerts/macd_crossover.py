"""`macd_crossover`: MACD crosses its signal line."""

from __future__ import annotations

from indicators import significant
from lane_state import Alert, Bar
from processor_lambda.alerts.rule import BarAlertRule, Positive, close_of
from processor_lambda.alerts.signals import Signal, crossing


class MacdCrossover(BarAlertRule, frozen=True, kw_only=True, tag="macd_crossover"):
    """MACD (12, 26, 9) crosses its signal line by more than `margin_percent` of the close."""

    margin_percent: Positive = 0.02

    def signal(self, bar: Bar, *, follows_gap: bool) -> Signal | None:  # noqa: ARG002
        """The MACD histogram in percent of the close."""
        histogram, close = bar.indicators.get("macd_histogram"), float(bar.close)
        if histogram is None or close <= 0:
            return None
        return Signal(histogram / close * 100, crossing(self.margin_percent))

    def alert(self, bar: Bar, signal: Signal) -> Alert:
        """The alert about a bar."""
        is_above = signal.value > 0
        close = close_of(bar)
        return self.build_for_bar(
            bar,
            f"{bar.symbol}'s MACD {'rose above' if is_above else 'fell below'} its signal line, at {close}",
            {"margin_percent": significant(self.margin_percent if is_above else -self.margin_percent)},
            ("macd", "macd_signal", "macd_histogram"),
        )
