"""The Iceberg tables: their names, columns, partitions and order. Pure.

`compacted_quotes` has the columns of the view `quotes`, then `day` and `object`. Each quote is there once: of copies
with one identity, the last arrival counts, as in the view. The other tables follow the same rule.
"""

from __future__ import annotations

import msgspec

from indicators import NAMES as INDICATORS

NAMESPACE = "stockstream"
"""The namespace of a local catalog. On AWS, it is the Glue database of the stack `analytics`."""
FOLDER = "compacted"
"""The folder of the tables in the archive, beside `raw-data`."""
PRICE = "decimal(38,26)"


class Column(msgspec.Struct, frozen=True):
    """A column, with its type as Iceberg writes it."""

    name: str
    type: str
    comment: str = ""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table."""

    name: str
    columns: tuple[Column, ...]
    partition: tuple[str, str] | None = None
    """The column and the transform that a partition has one value of."""
    order: tuple[str, ...] = ()
    """The columns by which the rows of a file are sorted."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)


def _columns(type_: str, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, type_) for name in names)


_ARRIVAL = (
    Column("dt", "string", "The day of arrival in UTC, such as 2026-11-23"),
    Column("hour", "int", "The hour of arrival in UTC"),
)
_OBJECT = Column("object", "string", "The name of the object of the archive that holds the line")

QUOTE_VALUES = (
    Column("symbol", "string"),
    Column("event_time", "timestamp", "The time at the exchange in UTC"),
    Column("revision", "long", "0 for the first content of a symbol and event_time"),
    *_columns(PRICE, "price", "open", "high", "low", "previous_close"),
    Column("volume", "long"),
    *_columns("string", "currency", "exchange", "market_state"),
    Column("delay_minutes", "long"),
    Column("source_time", "timestamp"),
    *_columns("string", "volume_period", "provenance", "source"),
    Column("ingest_time", "timestamp", "The time at which the producer received the quote"),
)
"""The columns that come from the line of a quote."""

QUOTES = Table(
    name="compacted_quotes",
    columns=(*QUOTE_VALUES, *_ARRIVAL, Column("day", "date", "The UTC day of event_time"), _OBJECT),
    partition=("day", "identity"),
    order=("symbol", "event_time", "revision"),
)
ACTIONS = Table(
    name="compacted_actions",
    columns=(
        *_columns("string", "symbol", "action"),
        Column("event_time", "timestamp", "When it takes effect, in UTC"),
        *_columns("long", "numerator", "denominator"),
        Column("amount", PRICE),
        *_columns("string", "currency", "source"),
        Column("ingest_time", "timestamp"),
        *_ARRIVAL,
        Column("day", "date", "The UTC day of event_time"),
        _OBJECT,
    ),
    order=("symbol", "event_time", "action"),
)
BARS = Table(
    name="compacted_bars",
    columns=(
        Column("symbol", "string"),
        Column("resolution", "string", "1m, 5m, 1h or 1d"),
        Column("start", "timestamp", "The start of the bar in UTC"),
        *_columns(PRICE, "open", "high", "low", "close"),
        *_columns("long", "volume", "quotes"),
        Column("provenance", "string", "stream, backfill or rebuild"),
        *_columns("string", "source"),
        *_columns("double", *INDICATORS),
        Column("day", "date", "The UTC day of start"),
    ),
    partition=("day", "month"),
    order=("symbol", "resolution", "start"),
)
SESSIONS = Table(
    name="compacted_sessions",
    columns=(
        *_columns("string", "symbol", "calendar", "timezone"),
        Column("day", "date", "The day of the exchange, which a session that begins in the evening before belongs to"),
        *_columns("timestamp", "opens", "closes"),
        Column("expected", "long", "How many minutes start in the session"),
        Column("without_trades", "long", "How many of them have no bar, and the source has none either"),
    ),
    order=("symbol", "opens"),
)
LEDGER = Table(
    name="archive_days",
    columns=(
        Column("dt", "string", "The day of arrival in UTC"),
        *_columns("long", "objects", "bytes"),
        Column("fingerprint", "string", "Changes if the day gets, loses or changes an object"),
        *_columns("long", "quote_lines", "heartbeats", "actions", "quarantined"),
        Column("lanes", "int", "The number of lanes, by the heartbeats; null without one"),
        Column("packets", "long", "The most packets that the quotes of each poll can have been, see the query cost"),
        *_columns("date", "first_event_day", "last_event_day"),
        Column("closed_to", "date", "Quotes of earlier event days are in compacted_quotes"),
        Column("compacted_at", "timestamp"),
    ),
    order=("dt",),
)
TABLES = (QUOTES, ACTIONS, BARS, SESSIONS, LEDGER)
