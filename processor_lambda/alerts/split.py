"""`split`: a stock split."""

from __future__ import annotations

from decimal import Decimal

from lane_state import Alert
from processor_lambda.alerts.rule import AlertRule, Severity
from processor_lambda.rows import significant, timestamp_of
from quotes import Quote


class Split(AlertRule, frozen=True, kw_only=True, tag="split"):
    """The symbol has split, and its indicators were rescaled. `processor_lambda.splits` detects it."""

    severity: Severity = "info"

    def alert(self, quote: Quote, last: Decimal, new_shares: float) -> Alert:
        """The alert about the first quote after a split. `last` is the price before it."""
        ratio = f"{new_shares:g} for 1" if new_shares > 1 else f"1 for {1 / new_shares:g}"
        values = {"new_shares_for_one": significant(new_shares), "last_price": last, "price": quote.price}
        if quote.previous_close is not None:
            values["previous_close"] = quote.previous_close
        subject = f"{quote.symbol} split {ratio}: its indicators are rescaled"
        return self.build(quote.symbol, timestamp_of(quote), subject, values)
