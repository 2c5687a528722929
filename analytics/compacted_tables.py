"""The compacted tables: what the job of `compaction` writes, and what the views of `infra/athena` read. Pure.

This module is the contract between the two. Types are those of Glue, which Iceberg's columns have in Athena: `string`,
`bigint`, `int`, `double`, `date`, `decimal(38,26)`, and `timestamp` without a zone, in UTC with microseconds. A table
may have more columns at its end, which the views ignore.
"""

from __future__ import annotations

import msgspec

from analytics.catalog import Column
from indicators import NAMES

PRICE = "decimal(38,26)"


class CompactedTable(msgspec.Struct, frozen=True, kw_only=True):
    """An Iceberg table. Rows are unique by the columns of its identity."""

    name: str
    description: str
    columns: tuple[Column, ...]
    identity: tuple[str, ...]
    partition: str | None = None
    """The partition, as Iceberg writes the transform: `day`, `months(day)`. None if the table has one partition."""
    sorted_by: tuple[str, ...]


_QUOTE = (
    Column("symbol", "string"),
    Column("event_time", "timestamp"),
    Column("revision", "bigint"),
    Column("price", PRICE),
    Column("open", PRICE),
    Column("high", PRICE),
    Column("low", PRICE),
    Column("previous_close", PRICE),
    Column("volume", "bigint"),
    Column("currency", "string"),
    Column("exchange", "string"),
    Column("market_state", "string"),
    Column("delay_minutes", "bigint"),
    Column("source_time", "timestamp"),
    Column("volume_period", "string"),
    Column("provenance", "string"),
    Column("source", "string"),
    Column("ingest_time", "timestamp"),
    Column("dt", "string", "The day on which the last copy arrived"),
    Column("hour", "int", "The hour in which the last copy arrived"),
)
QUOTES = CompactedTable(
    name="compacted_quotes",
    description="Every quote of a closed day once: the row of the view quotes over the raw archive, with its day.",
    columns=(*_QUOTE, Column("day", "date", "The day of event_time in UTC")),
    identity=("symbol", "event_time", "revision"),
    partition="day",
    sorted_by=("symbol", "event_time", "revision"),
)
ACTIONS = CompactedTable(
    name="compacted_actions",
    description="Every split and dividend of closed days of arrival or of a backfill once: its last arrival.",
    columns=(
        Column("symbol", "string"),
        Column("action", "string", "split or dividend"),
        Column("event_time", "timestamp"),
        Column("numerator", "bigint"),
        Column("denominator", "bigint"),
        Column("amount", PRICE),
        Column("currency", "string"),
        Column("source", "string"),
        Column("ingest_time", "timestamp"),
        Column("dt", "string", "The day of arrival, before compacted_to, or the day on which a backfill fetched it"),
        Column("hour", "int"),
    ),
    identity=("symbol", "action", "event_time"),
    sorted_by=("symbol", "event_time", "action"),
)
BARS = CompactedTable(
    name="compacted_bars",
    description="Every bar of a closed day once, of all resolutions, with the indicators of one-minute bars.",
    columns=(
        Column("symbol", "string"),
        Column("resolution", "string", "1m, 5m, 1h or 1d"),
        Column("start", "timestamp", "The first moment of the bar"),
        Column("day", "date", "The day of start in UTC"),
        Column("open", PRICE),
        Column("high", PRICE),
        Column("low", PRICE),
        Column("close", PRICE),
        Column("volume", "bigint"),
        Column("quotes", "bigint", "How many quotes the bar has: 0 for a bar of a backfill"),
        Column("provenance", "string", "stream, backfill or rebuild"),
        *(Column(name, "double") for name in NAMES),
    ),
    identity=("symbol", "resolution", "start"),
    partition="months(day)",
    sorted_by=("symbol", "resolution", "start"),
)
SESSIONS = CompactedTable(
    name="compacted_sessions",
    description="The sessions of each symbol that have ended on closed days. A day with a lunch break has two.",
    columns=(
        Column("symbol", "string"),
        Column("calendar", "string", "XNYS, or always for a symbol that trades around the clock"),
        Column("timezone", "string", "The time zone of the exchange"),
        Column("day", "date", "The day of the exchange, which a session that begins in the evening before belongs to"),
        Column("opens", "timestamp"),
        Column("closes", "timestamp"),
        Column("expected", "bigint", "How many minutes start in the session"),
        Column("without_trades", "bigint", "How many of them have no bar, and the source has none either"),
    ),
    identity=("symbol", "opens"),
    sorted_by=("symbol", "opens"),
)
DAYS = CompactedTable(
    name="archive_days",
    description="What arrived on each day. The job also keeps here what it has read, and compacts a day that differs.",
    columns=(
        Column("dt", "string", "The day of arrival"),
        Column("objects", "bigint"),
        Column("bytes", "bigint"),
        Column("fingerprint", "string", "Of the listing of the objects: their keys, sizes and tags"),
        Column("quote_lines", "bigint"),
        Column("heartbeats", "bigint"),
        Column("actions", "bigint", "Lines of splits and dividends"),
        Column("quarantined", "bigint", "Positions of refused lines, each once"),
        Column("lanes", "int", "The most lanes that a heartbeat names. Null without a heartbeat"),
        Column("packets", "bigint", "The view arrival_days has the formula"),
    ),
    identity=("dt",),
    sorted_by=("dt",),
)
TABLES = (QUOTES, ACTIONS, BARS, SESSIONS, DAYS)
"""All compacted tables."""
