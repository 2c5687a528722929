"""The compacted tables: what the job of `compaction` writes as Iceberg tables, and what SQL reads. Pure.

Both sides follow this declaration. `compacted_quotes` has the columns of the view `quotes`, then `day` and `object`.
Each quote is there once: of copies with one identity, the last arrival counts, as in the view. The other tables follow
the same rule.

Iceberg numbers the columns of a table in their order when it is made, and files are read by these numbers. So the
columns that are declared here keep their order, names and types.

Types are those of Glue, which Iceberg's columns have in Athena: `string`, `bigint`, `int`, `double`, `date`,
`decimal(38,26)`, and `timestamp` without a zone, in UTC with microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import msgspec

from analytics.columns import Column
from indicators import NAMES as INDICATORS

FOLDER = "compacted"
"""The folder of the tables in the archive, beside `raw-data`."""
PRICE = "decimal(38,26)"


class CompactedTable(msgspec.Struct, frozen=True, kw_only=True):
    """An Iceberg table."""

    name: str
    columns: tuple[Column, ...]
    partition: tuple[str, str] | None = None
    """The column and the transform that a partition has one value of. None if the table has one partition."""
    key: tuple[str, ...]
    """The columns that rows are unique by. The rows of a file are sorted by them."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    def partition_of(self, row: Mapping[str, Any]) -> date | None:
        """The partition of a row: a day, or the first day of a month. None if the table has one partition."""
        if self.partition is None:
            return None
        column, transform = self.partition
        day: date = row[column]
        return day.replace(day=1) if transform == "month" else day


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
    Column("revision", "bigint", "0 for the first content of a symbol and event_time"),
    *_columns(PRICE, "price", "open", "high", "low", "previous_close"),
    Column("volume", "bigint"),
    *_columns("string", "currency", "exchange", "market_state"),
    Column("delay_minutes", "bigint"),
    Column("source_time", "timestamp"),
    *_columns("string", "volume_period", "provenance", "source"),
    Column("ingest_time", "timestamp", "The time at which the producer received the quote"),
)
"""The columns that come from the line of a quote."""

QUOTES = CompactedTable(
    name="compacted_quotes",
    columns=(*QUOTE_VALUES, *_ARRIVAL, Column("day", "date", "The UTC day of event_time"), _OBJECT),
    partition=("day", "identity"),
    key=("symbol", "event_time", "revision"),
)
"""Every quote of a closed day."""
ACTIONS = CompactedTable(
    name="compacted_actions",
    columns=(
        *_columns("string", "symbol", "action"),
        Column("event_time", "timestamp", "When it takes effect, in UTC"),
        *_columns("bigint", "numerator", "denominator"),
        Column("amount", PRICE),
        *_columns("string", "currency", "source"),
        Column("ingest_time", "timestamp"),
        *_ARRIVAL,
        Column("day", "date", "The UTC day of event_time"),
        _OBJECT,
    ),
    key=("symbol", "event_time", "action"),
)
"""Every split and dividend of closed days of arrival, and those of backfills, whose `dt` is the day of the request."""
BARS = CompactedTable(
    name="compacted_bars",
    columns=(
        Column("symbol", "string"),
        Column("resolution", "string", "1m, 5m, 1h or 1d"),
        Column("start", "timestamp", "The start of the bar in UTC"),
        *_columns(PRICE, "open", "high", "low", "close"),
        *_columns("bigint", "volume", "quotes"),
        Column("provenance", "string", "stream, backfill or rebuild"),
        *_columns("string", "source"),
        *_columns("double", *INDICATORS),
        Column("day", "date", "The UTC day of start"),
    ),
    partition=("day", "month"),
    key=("symbol", "resolution", "start"),
)
"""Every bar of a closed day, of all resolutions, with indicators of one-minute bars. Backfilled bars have 0 quotes."""
SESSIONS = CompactedTable(
    name="compacted_sessions",
    columns=(
        *_columns("string", "symbol", "calendar", "timezone"),
        Column("day", "date", "The day of the exchange, which a session that begins in the evening before belongs to"),
        *_columns("timestamp", "opens", "closes"),
        Column("expected", "bigint", "How many minutes start in the session"),
        Column("without_trades", "bigint", "How many of them have no bar, and the source has none either"),
    ),
    partition=("day", "month"),
    key=("symbol", "opens"),
)
"""The sessions of each symbol that have ended on closed days. A day with a lunch break has two."""
LEDGER = CompactedTable(
    name="archive_days",
    columns=(
        Column("dt", "string", "The day of arrival in UTC"),
        *_columns("bigint", "objects", "bytes"),
        Column("fingerprint", "string", "Changes if the day gets, loses or changes an object"),
        *_columns("bigint", "quote_lines", "heartbeats", "actions", "quarantined"),
        Column("lanes", "int", "The number of lanes, by the heartbeats; null without one"),
        Column("packets", "bigint", "The most packets that the quotes of each poll can have been, see the query cost"),
        *_columns("date", "first_event_day", "last_event_day"),
        Column("closed_to", "date", "Quotes of earlier event days are in compacted_quotes"),
        Column("compacted_at", "timestamp"),
    ),
    key=("dt",),
)
"""What arrived on each day, by which a run knows what is new."""
TABLES = (QUOTES, ACTIONS, BARS, SESSIONS, LEDGER)
"""All compacted tables."""
