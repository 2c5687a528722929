"""The rows of quotes and bars: attribute names and exact numbers. Pure.

A quote's row depends only on the quote. So rows can be written twice and in any order.
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal

from lane_state import Bar
from quotes import Quote, to_iso

Attribute = str | int | Decimal
Row = dict[str, Attribute]
"""The attributes of an item of a table. Unknown values are absent."""

_DAY_SECONDS = 86_400
_LEAST = 1e-30
PERCENT_PLACES = 6
_PERCENT_QUANTUM = Decimal(1).scaleb(-PERCENT_PLACES)
_HUNDRED = Decimal(100)
_FOUR = Decimal(4)
_MOST_DIGITS = 38 - PERCENT_PLACES - 1
"""The most digits before the point of a percentage that has all its places. One is left for rounding up."""
_CONTEXT = Context(prec=38, rounding=ROUND_HALF_EVEN)
"""DynamoDB's precision of 38 digits, to which computed columns are rounded. A price has up to 38 digits, so the sum of
four may have 39, and Python's default of 28 would round most of them."""


def timestamp_of(quote: Quote) -> str:
    """The range key of a quote: its event time, and `#n` for revision n. Keys sort like identities up to revision 9."""
    time = to_iso(quote.event_time)
    return f"{time}#{quote.revision}" if quote.revision else time


def change_percent_of(quote: Quote) -> Decimal | None:
    """The change from the previous close in percent, with 6 places. None if the previous close is unknown or zero.

    The divisor is the absolute value of the previous close. So a price above a negative previous close is a rise. A
    percentage of more than 32 digits before the point has fewer places, or none.
    """
    if not quote.previous_close:
        return None
    change = _CONTEXT.multiply(_CONTEXT.subtract(quote.price, quote.previous_close), _HUNDRED)
    percent = _CONTEXT.divide(change, quote.previous_close.copy_abs())
    return percent if percent.adjusted() >= _MOST_DIGITS else percent.quantize(_PERCENT_QUANTUM, context=_CONTEXT)


def quote_row(quote: Quote, anomaly_percent: Decimal, ttl_days: int) -> Row:  # noqa: C901  (a loop takes a fifth longer)
    """The row of a quote. `moving_average` is (open + high + low + price) / 4, as in the tutorial this grew from.

    Prices are exact. The computed columns (`moving_average`, `change`, `change_percent`) are rounded to 38 digits.
    """
    row: Row = {
        "symbol": quote.symbol,
        "timestamp": timestamp_of(quote),
        "price": quote.price,
        "source": quote.source,
        "ingest_time": to_iso(quote.ingest_time),
    }
    if quote.open is not None:
        row["open"] = quote.open
    if quote.high is not None:
        row["high"] = quote.high
    if quote.low is not None:
        row["low"] = quote.low
    if quote.open is not None and quote.high is not None and quote.low is not None:
        total = _CONTEXT.add(_CONTEXT.add(quote.open, quote.high), _CONTEXT.add(quote.low, quote.price))
        row["moving_average"] = _CONTEXT.divide(total, _FOUR)
    if quote.previous_close is not None:
        row["previous_close"] = quote.previous_close
        row["change"] = _CONTEXT.subtract(quote.price, quote.previous_close)
        change_percent = change_percent_of(quote)
        if change_percent is not None:
            row["change_percent"] = change_percent
            row["anomaly"] = "Yes" if abs(change_percent) > anomaly_percent else "No"
    if quote.volume is not None:
        row["volume"] = quote.volume
    if quote.currency is not None:
        row["currency"] = quote.currency
    if quote.exchange is not None:
        row["exchange"] = quote.exchange
    if quote.market_state is not None:
        row["market_state"] = quote.market_state
    if quote.delay_minutes is not None:
        row["delay_minutes"] = quote.delay_minutes
    expires_at = _expiry(quote.ingest_time, ttl_days)
    if expires_at is not None:
        row["expires_at"] = expires_at
    return row


def bar_row(bar: Bar, ttl_days: int) -> Row:
    """The row of a closed one-minute bar, with the indicators that are known. Its key is the start of the minute."""
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
    """A computed number as it is stored: 12 significant digits and no exponent. A number smaller than 1e-30 is 0.

    DynamoDB refuses numbers smaller than 1e-130, and a decaying average becomes that small.
    """
    return Decimal(format(Decimal(format(value, ".12g")), "f")) if abs(value) >= _LEAST else Decimal(0)


def _expiry(arrival: datetime, ttl_days: int) -> int | None:
    """When a row expires. It is counted from the arrival, so that a replay of old quotes does not expire at once."""
    return int(arrival.timestamp()) + ttl_days * _DAY_SECONDS if ttl_days else None
