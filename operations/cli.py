"""The commands of `python -m operations`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from aws_limits import KIB
from operations import exporter, kinesis, quarantine_cli, redrive
from operations.archive import READERS
from operations.aws import client
from operations.console import (
    NOT_DONE,
    OutputsFileOption,
    StackPrefixOption,
    StageOption,
    epilog,
    errors_told,
    outputs_of,
    progress,
    say,
)
from operations.dynamodb import DynamoBars, DynamoRows
from operations.errors import WrongUsage
from operations.kinesis import KinesisStream
from operations.ordered_writer import Courier
from operations.outputs import named, settings_of
from operations.rebuild import Rebuilder, Rebuilt, span_of
from operations.rebuild_hints import Due
from operations.s3 import S3Objects
from processor_lambda.records import Record
from quotes import is_symbol

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="The operator's commands, on AWS and on any emulator of it. AWS endpoint, region and credentials come the "
    "SDK's own way: AWS_ENDPOINT_URL, AWS_DEFAULT_REGION, AWS_PROFILE, …",
)
app.add_typer(quarantine_cli.app, name="quarantine")


@app.command(epilog=epilog("export --outputs-file outputs.env --port 9100"))
def export(
    stack_prefix: StackPrefixOption = "stockstream",
    stage: StageOption = "dev",
    outputs_file: OutputsFileOption = None,
    host: Annotated[str, typer.Option(help="The address of /metrics; 0.0.0.0 in a container.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="The port of /metrics.")] = 9100,
) -> None:
    """Serve metrics of what is stored and quarantined to Prometheus, until stopped."""
    with errors_told():
        exporter.serve(outputs_of(stack_prefix, stage, outputs_file), host, port)


@app.command(
    "redrive", epilog=epilog("redrive --dry-run", "redrive", "redrive --stage prod --kilobytes-per-second 200")
)
def redrive_(  # noqa: PLR0917  (options, by name)
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,  # noqa: FBT002
    again: Annotated[  # noqa: FBT002
        bool, typer.Option("--again", help="Redrive what was redriven before, from redriven/, where it stays.")
    ] = False,
    kilobytes_per_second: Annotated[
        int, typer.Option(min=0, help="Leave the rest of the shards to the live producer; 0 is as fast as it goes.")
    ] = 500,
    stack_prefix: StackPrefixOption = "stockstream",
    stage: StageOption = "dev",
    outputs_file: OutputsFileOption = None,
) -> None:
    """Put back on the stream what Lambda gave up: batches that used up their retries or grew too old.

    They lie in the archive bucket under aws/lambda/. Their records go back as they are, under their own partition
    keys and in their order, one of a key at a time. An object whose records Kinesis has acknowledged moves to
    redriven/. Repeating it, or interrupting it, changes nothing downstream: each quote is one row.
    """
    with errors_told():
        names = outputs_of(stack_prefix, stage, outputs_file)
        objects, bucket = S3Objects(client("s3")), named(names, "ArchiveBucket")
        with progress("reading what was given up", None) as told:
            found = redrive.survey(objects, bucket, told, again=again)
        for reason in found.unreadable.values():
            say(f"left alone: {reason}")
        records, size = found.records, sum(batch.bytes for batch in found.batches)
        say(f"{len(found.batches)} objects with {records} records, {size / KIB:.0f} kB")
        if dry_run:
            for batch in found.batches:
                typer.echo(f"{batch.address}  {batch.records} records")
            raise typer.Exit(NOT_DONE if found.unreadable else 0)
        stream = KinesisStream(client("kinesis", **kinesis.SETTINGS), named(names, "StreamName"))
        courier = Courier(stream, bytes_per_second=kilobytes_per_second * KIB)
        due = Due()
        with progress("redriving records", records) as told:

            def finished(batch: tuple[Record, ...]) -> None:
                due.add(record.data for record in batch)
                told(len(batch))

            done = redrive.redrive(objects, found.batches, bucket, courier, finished)
        typer.echo(f"redriven {done.records} records; {done.batches} of {len(found.batches)} objects are done with")
        for command in due.commands(datetime.now(UTC)):
            say(f"their minutes may be closed; an hour after them, correct the bars: {command}")
        if done.failure:
            say(f"stopped: {done.failure}; it and what lies behind it are where they were")
        if done.failure or found.unreadable:
            raise typer.Exit(NOT_DONE)


def _symbol(text: str) -> str:
    if not is_symbol(text):
        raise typer.BadParameter(f"{text!r} is not a symbol: 1 to 32 letters, digits or .^=&$_:/+-")
    return text


@app.command(
    "rebuild",
    epilog=epilog(
        "rebuild --symbol AAPL --day 2026-11-23",
        "rebuild --all-symbols --day 2026-11-23 --day 2026-11-24 --dry-run",
        "rebuild --symbol '^GSPC' --symbol AAPL --day 2026-11-23 --arrived-until 2026-11-27T09:00",
    ),
)
def rebuild_(  # noqa: PLR0917  (options, by name)
    day: Annotated[list[datetime], typer.Option(formats=["%Y-%m-%d"], help="A day, UTC; repeat for more.")],
    symbol: Annotated[list[str] | None, typer.Option(parser=_symbol, metavar="SYMBOL", help="Repeat for more.")] = None,
    all_symbols: Annotated[bool, typer.Option("--all-symbols", help="Every symbol with a quote of that day.")] = False,  # noqa: FBT002
    arrived_until: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"],
            help="Read quotes that arrived until then, UTC: later than the end of the next day, if they were redriven "
            "or replayed later.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,  # noqa: FBT002
    stack_prefix: StackPrefixOption = "stockstream",
    stage: StageOption = "dev",
    outputs_file: OutputsFileOption = None,
) -> None:
    """Fold a day's quotes anew from the archive, and write the bars that differ over the stored ones.

    For after a bug, a redrive, a replay or quotes that came late. Bars and indicators become those of one undisturbed
    pass. Only minutes that ended over an hour ago are touched. Indicators start from the bars stored before the day, so
    rebuild from the first damaged day on. Running it again changes nothing.
    """
    with errors_told():
        if bool(symbol) == all_symbols:
            raise WrongUsage("name symbols with --symbol, or take --all-symbols: one of the two")
        now = datetime.now(UTC)
        until = None if arrived_until is None else arrived_until.replace(tzinfo=UTC)
        spans = [span_of(each, now) for each in sorted({each.date() for each in day})]
        if until is not None and until < spans[-1].end:
            raise WrongUsage(f"--arrived-until {until:%Y-%m-%dT%H:%M} is before the end of {spans[-1].start:%Y-%m-%d}")
        names = outputs_of(stack_prefix, stage, outputs_file)
        dynamodb = client("dynamodb")
        rebuilder = Rebuilder(
            S3Objects(client("s3", max_pool_connections=READERS)),
            named(names, "ArchiveBucket"),
            DynamoBars(dynamodb, named(names, "BarsTable")),
            DynamoRows(dynamodb, named(names, "QuotesTable")),
            settings_of(client("lambda"), named(names, "FunctionName")),
            progress=progress,
        )
        missing = False
        for span in spans:
            if not span.is_whole:
                say(f"minutes from {span.end:%Y-%m-%dT%H:%M} on are younger than an hour, and stay as they are")
            asked = frozenset(symbol) if symbol else None
            done: list[Rebuilt] = []
            try:
                for rebuilt in rebuilder.rebuild(span, asked, now=now, arrived_until=until, dry_run=dry_run):
                    done.append(rebuilt)  # noqa: PERF402  (what is done is told, though the rest be interrupted)
            finally:
                for rebuilt in done:
                    typer.echo(f"{span.start:%Y-%m-%d} {_told(rebuilt, dry_run=dry_run)}")
            for absent in sorted((asked or frozenset()) - {rebuilt.symbol for rebuilt in done}):
                missing = True
                say(f"{span.start:%Y-%m-%d} {absent}: the archive has no quote of it, and nothing was changed")
            if asked is None and not done:
                missing = True
                say(f"{span.start:%Y-%m-%d}: the archive has no quote of that day, and nothing was changed")
        if missing:
            raise typer.Exit(NOT_DONE)


def _told(rebuilt: Rebuilt, *, dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    same = rebuilt.bars - rebuilt.added - rebuilt.corrected - rebuilt.expired
    parts = [f"{rebuilt.corrected} {would}corrected", f"{rebuilt.added} {would}added", f"{same} as they were"]
    if rebuilt.expired:
        parts.append(f"{rebuilt.expired} past their time to live")
    if rebuilt.without_quotes:
        parts.append(f"{rebuilt.without_quotes} stored without a quote in the archive, left alone")
    return f"{rebuilt.symbol}: {rebuilt.bars} bars: {', '.join(parts)}"
