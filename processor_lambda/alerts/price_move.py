"""`price_move`: the price is far from the previous close."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Self

from msgspec.structs import replace

from indicators import significant
from lane_state import Alert
from processor_lambda.alerts.rule import AlertRule, Positive, Share
from processor_lambda.alerts.signals import Signal, symmetric
from processor_lambda.rows import PERCENT_PLACES, timestamp_of
from quotes import Quote, short_price


class PriceMove(AlertRule, frozen=True, kw_only=True, tag="price_move"):
    """The price is further than `percent` from the previous close. Evaluated at every quote."""

    percent: Positive | None = None
    """The default is the function's `ANOMALY_PERCENT`."""
    rearm: Share = 0.9

    def completed(self, anomaly_percent: float) -> Self:
        """The rule with its `percent`."""
        return self if self.percent is not None else replace(self, percent=anomaly_percent)

    def signal(self, quote: Quote) -> Signal | None:
        """The distance from the previous close in percent. None if the previous close is unknown or zero."""
        if not quote.previous_close:
            return None
        # Floats take a quarter of the time of the row's exact `change_percent`, and this runs for every quote.
        change = float(quote.price - quote.previous_close) * 100 / abs(float(quote.previous_close))
        return Signal(round(change, PERCENT_PLACES), symmetric(self.percent or 0.0, self.rearm))

    def is_calm(self, quote: Quote) -> bool:
        """Whether the price is so near to the previous close that the signal is certainly off, if it was off before."""
        if quote.previous_close is None or self.percent is None:
            return False
        lowest, highest = _calm_prices(quote.previous_close, self.percent)
        return lowest < quote.price < highest

    def alert(self, quote: Quote, signal: Signal) -> Alert:
        """The alert about a quote."""
        price = short_price(quote.price, quote.open, quote.high, quote.low, quote.previous_close)
        return self.build(
            quote.symbol,
            timestamp_of(quote),
            f"{quote.symbol} moved {signal.value:+.2f}% to {price}",
            {
                "price": quote.price,
                "change_percent": significant(signal.value),
                "threshold": significant(self.percent or 0.0),
            },
        )


@lru_cache(maxsize=4_096)
def _calm_prices(previous_close: Decimal, percent: float) -> tuple[Decimal, Decimal]:
    """The prices between which no signal is beyond `percent`, however it is rounded."""
    margin = abs(previous_close) * Decimal(max(percent * 0.999 - 10**-PERCENT_PLACES, 0)) / 100
    return previous_close - margin, previous_close + margin
