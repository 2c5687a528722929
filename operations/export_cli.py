"""The command `python -m operations export`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import typer

from operations.command_line import (
    DEFAULT_PREFIX,
    DEFAULT_STAGE,
    OutputsFileOption,
    StackPrefixOption,
    StageOption,
    day_of,
    epilog,
    reported_errors,
    say,
)
from operations.errors import WrongUsage
from operations.history_place import (
    ArchiveOption,
    BarsTableOption,
    CalendarsTableOption,
    CatalogOption,
    DatabaseOption,
    history_errors,
    history_place,
)
from quotes import is_symbol

_DAYS = timedelta(days=30)

app = typer.Typer(rich_markup_mode=None)


@app.command(
    "export",
    epilog=epilog(
        "export --symbols AAPL,MSFT --from 2026-11-01 --to 2026-11-27 --output bars.parquet",
        "export --table quotes --symbols AAPL --from 2026-11-27 --format csv --output -",
    ),
)
def export(  # noqa: PLR0917  (options, by name)
    output: Annotated[
        str, typer.Option("--output", metavar="FILE|-", help="The file to write, or - for the standard output.")
    ],
    symbols: Annotated[
        list[str] | None,
        typer.Option(
            "--symbols", metavar="SYMBOL[,SYMBOL...]", help="The symbols, separated by commas. By default, all."
        ),
    ] = None,
    first: Annotated[
        datetime | None,
        typer.Option(
            "--from", parser=day_of, metavar="YYYY-MM-DD", help="The first day (UTC). By default, 30 days ago."
        ),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", parser=day_of, metavar="YYYY-MM-DD", help="The last day. By default, today."),
    ] = None,
    table: Annotated[Literal["bars", "quotes"], typer.Option(help="What to export.")] = "bars",
    resolution: Annotated[
        Literal["1m", "5m", "1h", "1d"] | None, typer.Option(help="The length of bars.", show_default="1m")
    ] = None,
    form: Annotated[
        Literal["parquet", "csv"] | None,
        typer.Option(
            "--format",
            help="The format of the file. By default, csv if its name ends with .csv, and otherwise parquet.",
        ),
    ] = None,
    archive: ArchiveOption = None,
    catalog: CatalogOption = None,
    database: DatabaseOption = None,
    bars_table: BarsTableOption = None,
    calendars_table: CalendarsTableOption = None,
    stack_prefix: StackPrefixOption = DEFAULT_PREFIX,
    stage: StageOption = DEFAULT_STAGE,
    outputs_file: OutputsFileOption = None,
) -> None:
    """Write bars or quotes of some symbols and days to a file, for a notebook or another program.

    Closed days come from the compacted tables. Quotes of later days come from the raw archive, and later bars from the
    table of bars. Each quote is there once. Rows are in the order of their days or months, then of symbol and time.
    Prices are exact, and not adjusted for splits and dividends.
    """
    with reported_errors(), history_errors():
        days, named = _days(first, last), _symbols(symbols)
        if table == "quotes" and resolution is not None:
            raise WrongUsage(
                f"--resolution {resolution} is of bars, and quotes have none: leave it out, or use --table bars"
            )
        form = form or ("csv" if output.lower().endswith(".csv") else "parquet")
        place = history_place(
            archive, catalog, database, bars_table, calendars_table, stack_prefix, stage, outputs_file, changes=False
        )
        from compaction.export import BAR_COLUMNS, QUOTE_COLUMNS, Exporter, Wanted  # noqa: PLC0415  (large libraries)
        from compaction.row_files import write  # noqa: PLC0415

        wanted = Wanted(symbols=named, first=days[0], last=days[1])
        exporter = Exporter(place.archive, place.tables, place.history)
        if exporter.compacted_to is None:
            say("nothing is compacted yet, so every day comes from its source")
        if table == "bars" and place.history is None and exporter.bars_to is None:
            from analytics import local_tables  # noqa: PLC0415  (it loads DuckDB)

            kept = local_tables.BARS.file_in(Path(archive or ""))
            hint = f". Those of a demo are in {kept}, a Parquet file" if kept.is_file() else ""
            raise WrongUsage(
                f"--archive {archive} has no bars, because none were compacted there: name their table by --bars-table "
                f"and --calendars-table, or export quotes by --table quotes{hint}"
            )
        if table == "bars" and place.history is None and exporter.bars_to and wanted.last >= exporter.bars_to:
            say(f"bars from {exporter.bars_to} on are left out: name their table by --bars-table and --calendars-table")
        if table == "quotes":
            batches, columns = exporter.quotes(wanted), QUOTE_COLUMNS
        else:
            batches, columns = exporter.bars(wanted, resolution or "1m"), BAR_COLUMNS
        found: set[str] = set()
        with _opened(output, form) as file:
            rows = write(_noting_symbols(batches, found), columns, form, file)
        for symbol in wanted.symbols or ():
            if symbol not in found:
                say(f"there are no {table} of {symbol} in these days")
        say(f"{rows:,} {'row' if rows == 1 else 'rows'}")


def _noting_symbols(batches: Iterable[Any], found: set[str]) -> Iterator[Any]:
    """The same batches of pyarrow. It adds their symbols to `found`."""
    for batch in batches:
        found.update(batch["symbol"].unique().to_pylist())
        yield batch


@contextmanager
def _opened(output: str, form: str) -> Iterator[BinaryIO]:
    """The file to write. What was there before stays if something fails."""
    target = Path(output)
    if output == "-":
        if form == "parquet" and sys.stdout.isatty():
            raise WrongUsage("Parquet is no text for a terminal: set --output to a file, or --format to csv")
        yield sys.stdout.buffer
        return
    if target.is_dir():
        raise WrongUsage(f"--output {output} is a directory: name a file in it")
    # A device or a pipe is written to, and never replaced.
    made = target if target.exists() and not target.is_file() else target.with_name(f".{target.name}.new")
    try:
        with made.open("wb") as file:
            yield file
        if made != target:
            made.replace(target)
    except OSError as error:
        raise WrongUsage(f"--output {output} cannot be written: {error.strerror or error}") from error
    finally:
        if made != target:
            made.unlink(missing_ok=True)


def _symbols(given: list[str] | None) -> list[str] | None:
    named = [name.strip() for text in given or () for name in text.split(",") if name.strip()]
    for name in named:
        if not is_symbol(name):
            raise WrongUsage(f"--symbols: {name!r} is not a symbol: 1 to 32 letters, digits or .^=&$_:/+-")
    return sorted(set(named)) or None


def _days(first: datetime | None, last: datetime | None) -> tuple[date, date]:
    today = datetime.now(UTC).date()
    end = today if last is None else last.date()
    start = end - _DAYS if first is None else first.date()
    if start > today:
        raise WrongUsage(f"--from {start} is in the future: today is {today} in UTC")
    if start > end:
        raise WrongUsage(f"--from {start} is after --to {end}")
    return start, end
