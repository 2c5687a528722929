"""The rows of the table of bars that a backfill writes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from backfill.chunks import FinishedChunk, SourceBar
from bars.coverage import WITHOUT_TRADES, spans_of, spans_text
from bars.keys import ONE_MINUTE, asked_key, bar_key
from bars.provenance import ATTRIBUTE, BACKFILL, REPLACES, STREAM
from bars.resolutions import Span
from processor_lambda.rows import Attribute, Row, expiry
from quotes import from_iso, to_iso

PRICES = ("open", "high", "low", "close", "volume")
"""The attributes that the source decides."""
_FAILED, _FAILED_AT = "failed", "failed_at"


def bar_row(finished: FinishedChunk, bar: SourceBar, ttl_days: int, *, over_stream: bool = False) -> Row:
    """The row of a bar, without indicators. Minutes expire as those of the stream do, and coarser bars never.

    With `over_stream`, it says that it may replace a bar of the stream.
    """
    chunk = finished.chunk
    attributes: dict[str, Attribute | None] = {
        "symbol": chunk.symbol,
        "key": bar_key(chunk.resolution, bar.start),
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
        "quotes": 0,
        ATTRIBUTE: BACKFILL,
        REPLACES: STREAM if over_stream else None,
        "source": finished.source,
        "ingest_time": to_iso(finished.fetched_at),
        "expires_at": _expiry(finished, ttl_days),
    }
    return {name: value for name, value in attributes.items() if value is not None}


def asked_row(finished: FinishedChunk, start: datetime, spans: Sequence[Span], ttl_days: int) -> Row:
    """The row that lists the minutes of a day for which the source has no bar. `start` is that of the day."""
    chunk = finished.chunk
    row: Row = {
        "symbol": chunk.symbol,
        "key": asked_key(chunk.resolution, start),
        WITHOUT_TRADES: spans_text(spans),
        "ingest_time": to_iso(finished.fetched_at),
    }
    expires_at = _expiry(finished, ttl_days)
    return row if expires_at is None else row | {"expires_at": expires_at}


def asked_spans(rows: Iterable[Mapping[str, Any]]) -> list[Span]:
    """The times in such rows."""
    return [span for row in rows for span in spans_of(str(row[WITHOUT_TRADES]))]


def failed_key(resolution: str) -> str:
    """The key of the row that says when the source last gave no usable answer about a symbol."""
    return f"{_FAILED}#{resolution}"


def failed_row(symbol: str, resolution: str, at: datetime | None) -> Row:
    """The row that says so. None: it has answered since."""
    row: Row = {"symbol": symbol, "key": failed_key(resolution)}
    return row if at is None else row | {_FAILED_AT: to_iso(at)}


def failed_at(rows: Iterable[Mapping[str, Any]]) -> datetime | None:
    """The time in that row, if there is one."""
    return next((from_iso(str(row[_FAILED_AT])) for row in rows if _FAILED_AT in row), None)


def is_same_bar(row: Row, stored: Row) -> bool:
    """Whether two rows have the same prices and volume."""
    return all(_number(row.get(name)) == _number(stored.get(name)) for name in PRICES)


def _number(value: Attribute | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _expiry(finished: FinishedChunk, ttl_days: int) -> int | None:
    return expiry(finished.fetched_at, ttl_days) if finished.chunk.resolution == ONE_MINUTE else None
