"""A quote's row and a bar's row, as values: attribute names and exact numbers, no client in sight.

A quote's row is a function of the quote alone, so writing it twice is harmless, in whatever order.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal

from processor_lambda.state import Bar
from quotes import Quote, to_iso

Attribute = str | int | Decimal
Row = dict[str, Attribute]
"""Attributes of a table's item; what is not known is absent."""

_PERCENT_QUANTUM = Decimal("0.000001")
_CONTEXT = Context(prec=38, rounding=ROUND_HALF_EVEN)
"""DynamoDB's precision. The contract's prices make a percentage of 32 digits at the most, and the default has 28."""


def timestamp_of(quote: Quote) -> str:
    """The range key of a quote: its event time, and `#n` for a later revision. Sorts as identities do below #10."""
    time = to_iso(quote.event_time)
    return f"{time}#{quote.revision}" if quote.revision else time


def change_percent_of(quote: Quote) -> Decimal | None:
    """How far the price is from the previous close, in percent, to 6 places; None where that is unknown or zero."""
    if not quote.previous_close:
        return None
    change = _CONTEXT.divide((quote.price - quote.previous_close) * 100, quote.previous_close)
    return change.quantize(_PERCENT_QUANTUM, context=_CONTEXT)


def quote_row(quote: Quote, anomaly_percent: Decimal, ttl_days: int) -> Row:
    """The row of a quote. `moving_average` is (open + high + low + price) / 4, as in the tutorial this grew from."""
    change_percent = change_percent_of(quote)
    prices = (quote.open, quote.high, quote.low, quote.price)
    attributes: dict[str, Attribute | None] = {
        "symbol": quote.symbol,
        "timestamp": timestamp_of(quote),
        "price": quote.price,
        "open": quote.open,
        "high": quote.high,
        "low": quote.low,
        "previous_close": quote.previous_close,
        "change": None if quote.previous_close is None else quote.price - quote.previous_close,
        "change_percent": change_percent,
        "moving_average": None if None in prices else sum(filter(None, prices), Decimal(0)) / 4,
        "anomaly": None if change_percent is None else "Yes" if abs(change_percent) > anomaly_percent else "No",
        "volume": quote.volume,
        "currency": quote.currency,
        "exchange": quote.exchange,
        "market_state": quote.market_state,
        "delay_minutes": quote.delay_minutes,
        "source": quote.source,
        "ingest_time": to_iso(quote.ingest_time),
        "expires_at": _expiry(quote.ingest_time, ttl_days),
    }
    return {name: value for name, value in attributes.items() if value is not None}


def bar_row(bar: Bar, ttl_days: int) -> Row:
    """The row of a closed one-minute bar, keyed by the minute's start, with the indicators that are known by then."""
    attributes: dict[str, Attribute | None] = {
        "symbol": bar.symbol,
        "minute": to_iso(bar.minute),
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
        "quotes": bar.quotes,
        **{name: significant(value) for name, value in bar.indicators.items()},
        "expires_at": _expiry(bar.ingest_time, ttl_days),
    }
    return {name: value for name, value in attributes.items() if value is not None}


def significant(value: float) -> Decimal:
    """A computed number as it is written down: 12 significant digits, no exponent."""
    return Decimal(format(Decimal(format(value, ".12g")), "f"))


def _expiry(arrival: datetime, ttl_days: int) -> int | None:
    """Counted from arrival, not from the event: a replay of old quotes must not expire as it is written."""
    return int((arrival + timedelta(days=ttl_days)).timestamp()) if ttl_days else None
