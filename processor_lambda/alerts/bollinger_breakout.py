"""`bollinger_breakout`: a close outside the Bollinger bands."""

from __future__ import annotations

from indicators import significant
from lane_state import Alert, Bar
from processor_lambda.alerts.rule import BarAlertRule, Positive, close_of
from processor_lambda.alerts.signals import Signal, symmetric


class BollingerBreakout(BarAlertRule, frozen=True, kw_only=True, tag="bollinger_breakout"):
    """A close is more than `widths` half-widths from the middle of the Bollinger bands (20, 2)."""

    widths: Positive = 1.0

    def signal(self, bar: Bar, *, follows_gap: bool) -> Signal | None:  # noqa: ARG002
        """The distance of the close from the middle, in half-widths."""
        middle, upper = bar.indicators.get("sma_20"), bar.indicators.get("bollinger_upper")
        if middle is None or upper is None or upper <= middle:
            return None
        return Signal((float(bar.close) - middle) / (upper - middle), symmetric(self.widths, self.rearm))

    def alert(self, bar: Bar, signal: Signal) -> Alert:
        """The alert about a bar."""
        is_above = signal.value > 0
        return self.build_for_bar(
            bar,
            f"{bar.symbol} closed at {close_of(bar)}, {'above' if is_above else 'below'} its Bollinger bands",
            {"threshold_widths": significant(self.widths if is_above else -self.widths)},
            ("bollinger_upper", "sma_20", "bollinger_lower"),
        )
