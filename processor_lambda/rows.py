"""The rows of quotes and bars: attribute names and exact numbers. Pure.

A quote's row depends only on the quote. So rows can be written twice and in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import lru_cache

import msgspec

from bars.keys import ONE_MINUTE, bar_key
from indicators import significant
from lane_state import Bar
from quotes import Quote, to_iso

Attribute = str | int | Decimal
Row = dict[str, Attribute]
"""The attributes of an item of a table. Unknown values are absent."""

_DAY_SECONDS = 86_400
PERCENT_PLACES = 6
_PERCENT_QUANTUM = Decimal(1).scaleb(-PERCENT_PLACES)
_MOST_DIGITS = 38 - PERCENT_PLACES - 1
"""The most digits before the point of a percentage that has all its places. One is left for rounding up."""
_CONTEXT = Context(prec=38, rounding=ROUND_HALF_EVEN)
"""DynamoDB's precision of 38 digits, to which computed columns are rounded. A price has up to 38 digits, so the sum of
four may have 39, and Python's default of 28 would round most of them."""


class StoredAttribute(msgspec.Struct, frozen=True):
    """An attribute in DynamoDB's JSON: a text or a number."""

    S: str | None = None
    N: Decimal | None = None


_decode_item = msgspec.json.Decoder(dict[str, StoredAttribute]).decode


def row_of(item: Mapping[str, StoredAttribute]) -> Row:
    """The row in an item."""
    values = {name: value.N if value.S is None else value.S for name, value in item.items()}
    return {name: value for name, value in values.items() if value is not None}


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
    with localcontext(_CONTEXT):
        return _percent(quote.price - quote.previous_close, quote.previous_close)


def _percent(change: Decimal, previous_close: Decimal) -> Decimal:
    percent = change * 100 / abs(previous_close)
    return percent if percent.adjusted() >= _MOST_DIGITS else percent.quantize(_PERCENT_QUANTUM)


def quote_items(quotes: Iterable[Quote], anomaly_percent: Decimal, ttl_days: int) -> list[str]:
    """The rows of quotes, each as the JSON of a DynamoDB item. If several have the same key, only the last is there.

    `moving_average` is (open + high + low + price) / 4, as in the tutorial this grew from. Prices are exact. The
    computed columns (`moving_average`, `change`, `change_percent`) are rounded to 38 digits.
    """
    items: dict[tuple[str, str], str] = {}
    with localcontext(_CONTEXT):  # operators take a third of the time of the context's methods
        for quote in quotes:
            timestamp = timestamp_of(quote)
            items[quote.symbol, timestamp] = _item(quote, timestamp, anomaly_percent, ttl_days)
    return list(items.values())


def quote_row(quote: Quote, anomaly_percent: Decimal, ttl_days: int) -> Row:
    """The row of a quote, as `quote_items` writes it."""
    [item] = quote_items([quote], anomaly_percent, ttl_days)
    return row_of(_decode_item(item))


def _item(quote: Quote, timestamp: str, anomaly_percent: Decimal, ttl_days: int) -> str:
    """The item of a quote. Written as a text, it takes half the time of a dictionary that is then encoded."""
    price, day_open, high, low, close = quote.price, quote.open, quote.high, quote.low, quote.previous_close
    item = (
        f'{{"symbol":{{"S":"{quote.symbol}"}},"timestamp":{{"S":"{timestamp}"}},"price":{{"N":"{price!s}"}},'
        f'"ingest_time":{{"S":"{to_iso(quote.ingest_time)}"}}'
    )
    if day_open is not None:
        item += f',"open":{{"N":"{day_open!s}"}}'
    if high is not None:
        item += f',"high":{{"N":"{high!s}"}}'
    if low is not None:
        item += f',"low":{{"N":"{low!s}"}}'
    if day_open is not None and high is not None and low is not None:
        item += f',"moving_average":{{"N":"{(day_open + high + (low + price)) / 4!s}"}}'
    if close is not None:
        change = price - close
        item += f',"previous_close":{{"N":"{close!s}"}},"change":{{"N":"{change!s}"}}'
        if close:
            percent = _percent(change, close)
            anomaly = "Yes" if abs(percent) > anomaly_percent else "No"
            item += f',"change_percent":{{"N":"{percent!s}"}},"anomaly":{{"S":"{anomaly}"}}'
    if quote.volume is not None:
        item += f',"volume":{{"N":"{quote.volume}"}}'
    if quote.source_time is not None:
        item += f',"source_time":{{"S":"{to_iso(quote.source_time)}"}}'
    if ttl_days:
        item += f',"expires_at":{{"N":"{expiry(quote.ingest_time, ttl_days)}"}}'
    labels = _labels(
        quote.source,
        quote.currency,
        quote.exchange,
        quote.market_state,
        quote.delay_minutes,
        quote.volume_period,
        quote.provenance,
    )
    return f"{item},{labels}}}"


# The texts of a symbol are the same all day.
@lru_cache(maxsize=4_096)
def _labels(*values: str | int | None) -> str:
    """The members of an item whose values seldom change."""
    names = ("source", "currency", "exchange", "market_state", "delay_minutes", "volume_period", "provenance")
    attributes = {
        name: {"S": value} if isinstance(value, str) else {"N": str(value)}
        for name, value in zip(names, values, strict=True)
        if value is not None
    }
    return msgspec.json.encode(attributes).decode()[1:-1]


def bar_row(bar: Bar, ttl_days: int) -> Row:
    """The row of a closed one-minute bar, with the indicators that are known. `bars.keys` describes its key."""
    attributes: dict[str, Attribute | None] = {
        "symbol": bar.symbol,
        "key": bar_key(ONE_MINUTE, bar.minute),
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
        "quotes": bar.quotes,
        **{name: significant(value) for name, value in bar.indicators.items()},
        "expires_at": expiry(bar.ingest_time, ttl_days),
    }
    return {name: value for name, value in attributes.items() if value is not None}


def expiry(arrival: datetime, ttl_days: int) -> int | None:
    """When a row expires. It is counted from the arrival, so that a replay of old quotes does not expire at once."""
    return int(arrival.timestamp()) + ttl_days * _DAY_SECONDS if ttl_days else None
