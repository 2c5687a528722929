"""`split`: a stock split."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from indicators import significant
from lane_state import Alert
from processor_lambda.alerts.rule import AlertRule, Severity


class Split(AlertRule, frozen=True, kw_only=True, tag="split"):
    """The symbol has split, and its indicators were rescaled. `processor_lambda.splits` finds splits."""

    severity: Severity = "info"

    def alert(self, symbol: str, timestamp: str, ratio: Fraction, prices: Mapping[str, Decimal | None]) -> Alert:
        """The alert about a split of `ratio` new shares for one. `prices` may be unknown (None)."""
        known = {name: price for name, price in prices.items() if price is not None}
        return self.build(
            symbol,
            timestamp,
            f"{symbol} split {ratio.numerator} for {ratio.denominator}: its indicators are rescaled",
            {"new_shares_for_one": significant(float(ratio)), **known},
        )
