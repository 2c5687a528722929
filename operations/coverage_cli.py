"""The command `python -m operations coverage`."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
import typer

from backfill.plan import SETTLED_AFTER, DayRange
from backfill.rows import asked_spans
from bars.coverage import DayCoverage, coverage_of_days
from bars.keys import ONE_MINUTE, asked_keys, bar_keys, start_of
from bars.provenance import BACKFILL, REBUILD, STREAM
from bars.recent_days import begun_since
from bars.sessions import SymbolCalendar
from operations.aws import client
from operations.backfill_stores import BackfillBars
from operations.calendar_table import CalendarTable
from operations.command_line import (
    DEFAULT_PREFIX,
    DEFAULT_STAGE,
    OutputsFileOption,
    StackPrefixOption,
    StageOption,
    epilog,
    outputs_of,
    progress,
    reported_errors,
    say,
)
from operations.deployed import Deployed
from operations.history_options import (
    NONE_WATCHED,
    BarTtlOption,
    FromOption,
    SymbolsOption,
    ToOption,
    chosen,
    day_range,
    whole_from,
)
from operations.outputs import required
from quotes import to_iso
from terminal.output import echo

_DAY = timedelta(days=1)
_COUNTS = ("expected", "stored", STREAM, BACKFILL, REBUILD, "without_trades", "missing")
_COLUMNS = ("symbol", "day", "opens", "closes", *_COUNTS)

Format = Literal["table", "json", "csv"]

app = typer.Typer()


@app.command(
    "coverage",
    epilog=epilog("coverage", "coverage --symbols AAPL,MSFT --from 2026-11-02 --to 2026-11-27 --format csv"),
)
def coverage(  # noqa: PLR0917  (options, by name)
    symbols: SymbolsOption = None,
    first: FromOption = None,
    last: ToOption = None,
    form: Annotated[
        Format, typer.Option("--format", help="A table for people, or JSON or CSV for programs.")
    ] = "table",
    bar_ttl_days: BarTtlOption = None,
    stack_prefix: StackPrefixOption = DEFAULT_PREFIX,
    stage: StageOption = DEFAULT_STAGE,
    outputs_file: OutputsFileOption = None,
) -> None:
    """Say how complete the stored minutes are, for each symbol and day.

    Expected are the minutes of the exchange's sessions that ended over an hour ago. Each of them has a bar of the
    stream, of a backfill or of a rebuild, or was asked for and had no trade, or is missing. The command backfill fills
    what is missing. If no calendar knows when a symbol trades, the expected minutes of its days are unknown. A table
    ends with the total of the other days. By default, days whose minutes have begun to expire are left out.
    """
    with reported_errors():
        now = datetime.now(UTC)
        names = outputs_of(stack_prefix, stage, outputs_file)
        dynamodb = client("dynamodb")
        calendars = CalendarTable(dynamodb, required(names, "CalendarsTable"))
        bars = BackfillBars(dynamodb, required(names, "BarsTable"))
        deployed = Deployed(names, stack_prefix, stage, outputs_file)
        ttl_days = deployed.bar_ttl_days() if bar_ttl_days is None else bar_ttl_days
        days = day_range(first, last, now, stored_days=ttl_days)
        whole = whole_from(now, ttl_days)
        if days.first < whole:
            say(f"minutes of days before {whole} have begun to expire, and count as missing")
        rows: list[dict[str, Any]] = []
        wanted = chosen(calendars, symbols)
        with progress("reading bars", len(wanted)) as on_progress:
            for symbol, calendar in wanted.items():
                found = _coverage_of(symbol, calendar, days, bars, calendars, now)
                rows += [_row(symbol, day, is_unknown=calendar.is_unknown) for day in found]
                on_progress(1)
        if not wanted:
            say(NONE_WATCHED)
        elif not rows:
            say("no session of these symbols is known in these days, or the first one has just begun")
        _print(rows, form)


def _coverage_of(  # noqa: PLR0917  (one call)
    symbol: str, calendar: SymbolCalendar, days: DayRange, bars: BackfillBars, calendars: CalendarTable, now: datetime
) -> list[DayCoverage]:
    start, end = days.span(calendar.zone)
    sessions = [
        each
        for each in calendars.sessions_of(calendar.of_possible_trades, start, end).sessions
        if days.first.isoformat() <= each.day <= days.last.isoformat()
    ]
    if days.since is not None:
        sessions = begun_since(sessions, days.since, calendar.zone)
    # A session of the first day may begin on the evening before it.
    found = bars.provenances(symbol, *bar_keys(ONE_MINUTE, start - _DAY, end + _DAY))
    stored = {start_of(key): provenance for key, provenance in found.items()}
    asked = asked_spans(bars.between(symbol, *asked_keys(ONE_MINUTE, start - _DAY, end + _DAY)))
    return coverage_of_days(sessions, stored, asked, before=now - SETTLED_AFTER)


def _print(rows: list[dict[str, Any]], form: Format) -> None:
    if form == "json":
        echo(msgspec.json.encode(rows).decode())
    elif form == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        for written in text.getvalue().splitlines():
            echo(written)
    elif rows:
        names = ("symbol", "day", *_COUNTS)
        known = [row for row in rows if row["expected"] is not None]
        total = {"symbol": "total", "day": "", **{name: sum(row[name] for row in known) for name in _COUNTS}}
        shown = [*rows, total] if known and len(rows) > 1 else rows
        texts = [[name.replace("_", " ") for name in names], *([_cell(row[name]) for name in names] for row in shown)]
        widths = [max(len(line[column]) for line in texts) for column in range(len(names))]
        for line in texts:
            cells = [
                text.ljust(width) if column < 2 else text.rjust(width)  # noqa: PLR2004  (symbol and day)
                for column, (text, width) in enumerate(zip(line, widths, strict=True))
            ]
            echo("  ".join(cells).rstrip())


def _row(symbol: str, day: DayCoverage, *, is_unknown: bool) -> dict[str, Any]:
    """The row of a day. If nobody knows when the symbol trades, its 24 hours count, and what is expected is None.

    What is missing is None then too, unless each minute is stored or the source has no bar of it.
    """
    counts = {name: day.stored.get(name, 0) for name in (STREAM, BACKFILL, REBUILD)}
    return {
        "symbol": symbol,
        "day": day.day,
        "opens": None if is_unknown else to_iso(day.opens),
        "closes": None if is_unknown else to_iso(day.closes),
        "expected": None if is_unknown else day.expected,
        "stored": sum(counts.values()),
        **counts,
        "without_trades": day.without_trades,
        "missing": None if is_unknown and day.missing else day.missing,
    }


def _cell(value: object) -> str:
    if value is None:
        return "unknown"
    return f"{value:,}" if isinstance(value, int) else str(value)
