"""The tables `bars` and `alerts`: what the function made of the quotes. A demo keeps them beside its archive.

On AWS, bars are in DynamoDB and alerts are messages, so Athena has no such tables.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb
import msgspec

from analytics.columns import Column
from analytics.quoting import literal, quoted
from bars.keys import is_bar, resolution_of, start_of
from bars.provenance import provenance_of
from quotes import to_iso

DIRECTORY = "tables"
"""Where the files are, beside `raw-data/`: one Parquet file for each table."""


class LocalTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table of this machine. The types of its columns are DuckDB's."""

    name: str
    description: str
    columns: tuple[Column, ...]

    def file_in(self, archive: Path) -> Path:
        """The file of the table beside the archive in a directory."""
        return archive / DIRECTORY / f"{self.name}.parquet"


_PRICE = "DECIMAL(38,26)"
BARS = LocalTable(
    name="bars",
    description="The bars with their indicators, as the bars table of DynamoDB has them.",
    columns=(
        Column("symbol", "VARCHAR"),
        Column("resolution", "VARCHAR", "The length of the bar: 1m, 5m, 1h or 1d"),
        Column("start", "TIMESTAMP", "The start of the bar"),
        Column("day", "DATE", "The day of its start (UTC)"),
        Column("open", _PRICE),
        Column("high", _PRICE),
        Column("low", _PRICE),
        Column("close", _PRICE),
        Column("volume", "BIGINT", "What was traded in it"),
        Column("quotes", "BIGINT", "How many quotes the bar has"),
        Column("provenance", "VARCHAR", "stream, backfill or rebuild"),
        Column("sma_5", "DOUBLE", "Averages of the last closes: simple ones of 5, 20 and 50 minutes"),
        Column("sma_20", "DOUBLE"),
        Column("sma_50", "DOUBLE"),
        Column("ema_12", "DOUBLE", "Exponential ones of 12 and 26 minutes"),
        Column("ema_26", "DOUBLE"),
        Column("bollinger_upper", "DOUBLE", "Bollinger bands (20, 2)"),
        Column("bollinger_lower", "DOUBLE"),
        Column("rsi_14", "DOUBLE"),
        Column("macd", "DOUBLE", "MACD (12, 26, 9)"),
        Column("macd_signal", "DOUBLE"),
        Column("macd_histogram", "DOUBLE"),
        Column("return_mean", "DOUBLE", "The one-minute returns: weighted mean and deviation"),
        Column("return_deviation", "DOUBLE"),
        Column("last_return", "DOUBLE", "The return of this minute"),
        Column("z_score", "DOUBLE", "How many deviations it is from the mean"),
        Column("volume_mean", "DOUBLE", "The weighted mean of the volumes"),
        Column("volume_ratio", "DOUBLE", "The volume of this minute in relation to it"),
    ),
)
ALERTS = LocalTable(
    name="alerts",
    description="The alerts, as a subscriber of the topic received them, each id once. Not in Athena.",
    columns=(
        Column("id", "VARCHAR", "The rule, the symbol or lane, and the time"),
        Column("rule", "VARCHAR"),
        Column("severity", "VARCHAR", "info, warning or critical"),
        Column("symbol", "VARCHAR", "The symbol, or the lane of several symbols"),
        Column("symbols", "VARCHAR[]", "Every symbol that the alert is about"),
        Column("event_time", "TIMESTAMP", "The time of the quote, bar, heartbeat or split"),
        Column("subject", "VARCHAR", "The alert in one line"),
        Column("values", "MAP(VARCHAR, DOUBLE)", "What raised it: values['threshold'], …"),
        Column("message", "VARCHAR", "The whole message as JSON, with all digits"),
    ),
)
TABLES = (BARS, ALERTS)


def keep(directory: Path, bars: Iterable[Mapping[str, str]], alerts: Iterable[str]) -> None:
    """Keep bars and alerts beside the archive in a directory, in place of the last ones.

    A bar is an item of the bars table, with its attributes as texts. An alert is the JSON of its message.
    """
    with tempfile.TemporaryDirectory(dir=directory, prefix=".") as scratch, duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET temp_directory = {literal(scratch)}")
        made = Path(scratch, DIRECTORY)
        made.mkdir()
        for table, rows in ((BARS, map(_bar, filter(_is_bar, bars))), (ALERTS, map(_alert, alerts))):
            lines = Path(scratch, f"{table.name}.jsonl")
            with lines.open("wb") as file:
                file.writelines(msgspec.json.encode(row) + b"\n" for row in rows)
            texts = ", ".join(f"{literal(column.name)}: 'VARCHAR'" for column in table.columns)
            values = ", ".join(f"{_value(column)} AS {quoted(column.name)}" for column in table.columns)
            connection.execute(
                f"COPY (SELECT {values} FROM read_json($lines, format = 'nd', columns = {{{texts}}})) "  # noqa: S608  (names of this module)
                "TO $file (FORMAT parquet)",
                {"lines": str(lines), "file": str(table.file_in(Path(scratch)))},
            )
        shutil.rmtree(directory / DIRECTORY, ignore_errors=True)
        made.rename(directory / DIRECTORY)


def _is_bar(item: Mapping[str, str]) -> bool:
    return is_bar(item["key"])


def _bar(item: Mapping[str, str]) -> dict[str, str]:
    """The columns of a bar as texts."""
    key = item["key"]
    start = start_of(key)
    columns = {"resolution": resolution_of(key), "start": to_iso(start), "day": f"{start:%Y-%m-%d}"}
    return {**item, **columns, "provenance": provenance_of(item)}


def _alert(message: str) -> dict[str, str]:
    """The columns of an alert as texts."""
    fields = msgspec.json.decode(message)
    return {
        **{name: fields[name] for name in ("id", "rule", "severity", "symbol", "subject")},
        "symbols": msgspec.json.encode(fields.get("symbols") or [fields["symbol"]]).decode(),
        "event_time": fields["timestamp"].partition("#")[0],  # the time of a quote may bear its revision
        "values": msgspec.json.encode(fields["values"]).decode(),
        "message": msgspec.json.format(message, indent=-1),
    }


def _value(column: Column) -> str:
    """A column from its text. A text becomes an exact decimal."""
    text = quoted(column.name)
    match column.type:
        case "TIMESTAMP":
            return f"CAST(CAST({text} AS TIMESTAMPTZ) AS TIMESTAMP)"
        case "VARCHAR[]" | "MAP(VARCHAR, DOUBLE)":
            return f"CAST(CAST({text} AS JSON) AS {column.type})"
    return f"CAST({text} AS {column.type})"
