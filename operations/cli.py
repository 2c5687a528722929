"""The commands of `python -m operations`, except those of the quarantine and the rules."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from aws_limits import KIB
from backfill.lane_refold import LaneIsBusy
from backfill.refold import BarsAreBusy, Refolder
from operations import (
    backfill_cli,
    compact_cli,
    coverage_cli,
    every_day_cli,
    export_cli,
    exporter,
    kinesis,
    quarantine_cli,
    redrive,
    rules_cli,
    symbols_cli,
)
from operations.archive_reader import READERS
from operations.aws import client
from operations.backfill_stores import ArchivedChunks, BackfillBars, backfill_errors
from operations.command_line import (
    DEFAULT_PREFIX,
    DEFAULT_STAGE,
    NOT_DONE,
    DryRunOption,
    OutputsFileOption,
    StackPrefixOption,
    StageOption,
    day_of,
    epilog,
    outputs_of,
    progress,
    reported_errors,
    say,
    say_rebuilds,
    target_options,
)
from operations.deployed import Deployed
from operations.dynamodb import DynamoBarTable, DynamoTable
from operations.errors import WrongUsage
from operations.history_options import LanesOption, run_name
from operations.kinesis import KinesisStream
from operations.lane_states import DynamoLaneStates
from operations.live_lanes import LiveLanes
from operations.ordered_writer import OrderedWriter
from operations.outputs import function_settings, required
from operations.rebuild import Rebuilder, RebuildResult, Span, last_arrival, span_of
from operations.rebuild_hints import RebuildHints
from operations.s3 import S3ObjectStore
from operations.write_pace import MOST_WRITERS
from processor_lambda.records import Record
from quotes import is_symbol
from terminal.output import echo
from terminal.version import options

MAX_NAMED = 10
"""How many symbols are named, if nothing was done for many."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="The operator's commands, for AWS and any emulator of it. They use the endpoint, the region and the "
    "credentials that the AWS SDK finds, for example in AWS_ENDPOINT_URL, AWS_DEFAULT_REGION and AWS_PROFILE.",
)
app.callback()(options)
app.add_typer(quarantine_cli.app, name="quarantine")
app.add_typer(symbols_cli.app, name="symbols")
app.add_typer(rules_cli.app, name="rules")
app.add_typer(backfill_cli.app)
app.add_typer(coverage_cli.app)
app.add_typer(compact_cli.app)
app.add_typer(export_cli.app)
app.add_typer(every_day_cli.app)


@app.command(epilog=epilog("metrics --outputs-file outputs.env --port 9100"))
def metrics(
    stack_prefix: StackPrefixOption = DEFAULT_PREFIX,
    stage: StageOption = DEFAULT_STAGE,
    outputs_file: OutputsFileOption = None,
    host: Annotated[
        str, typer.Option(help="The address that serves /metrics. In a container, use 0.0.0.0.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="The port that serves /metrics.")] = 9100,
) -> None:
    """Serve metrics for Prometheus until stopped.

    They are the number of messages in quarantine and the event time of the newest stored quote.
    """
    with reported_errors():
        exporter.serve(outputs_of(stack_prefix, stage, outputs_file), host, port)


@app.command(
    "redrive", epilog=epilog("redrive --dry-run", "redrive", "redrive --stage prod --kilobytes-per-second 200")
)
def redrive_(  # noqa: PLR0917  (options, by name)
    dry_run: DryRunOption = False,  # noqa: FBT002
    again: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--again", help="Redrive the batches that were redriven before. They stay under redriven/."),
    ] = False,
    kilobytes_per_second: Annotated[
        int,
        typer.Option(
            min=0,
            help="How much to put on the stream. The live producer needs the rest of the shards' capacity. 0 means no "
            "limit.",
        ),
    ] = 500,
    stack_prefix: StackPrefixOption = DEFAULT_PREFIX,
    stage: StageOption = DEFAULT_STAGE,
    outputs_file: OutputsFileOption = None,
) -> None:
    """Put the batches that Lambda discarded back on the stream.

    Lambda discards a batch that has used up its retries or has become too old, and writes it to aws/lambda/ in the
    archive bucket. The records go back with their own partition keys and in their order. An object moves to redriven/
    when Kinesis has acknowledged all of its records. You may interrupt and repeat this command: a quote that arrives
    twice is still one row.
    """
    with reported_errors():
        names = outputs_of(stack_prefix, stage, outputs_file)
        store, bucket = S3ObjectStore(client("s3")), required(names, "ArchiveBucket")
        with progress("reading the discarded batches", None) as on_progress:
            found = redrive.find_discarded(store, bucket, on_progress, again=again)
        for reason in found.unreadable.values():
            say(f"skipped: {reason}")
        records, size = found.records, sum(batch.bytes for batch in found.batches)
        say(f"{len(found.batches)} objects with {records} records, {size / KIB:.0f} KB")
        if dry_run:
            for batch in found.batches:
                echo(f"{batch.address}  {batch.records} records")
            raise typer.Exit(NOT_DONE if found.unreadable else 0)
        stream = KinesisStream(client("kinesis", **kinesis.SETTINGS), required(names, "StreamName"))
        writer = OrderedWriter(stream, bytes_per_second=kilobytes_per_second * KIB)
        hints = RebuildHints()
        with progress("redriving records", records) as on_progress:

            def on_batch(batch: tuple[Record, ...]) -> None:
                hints.add(record.data for record in batch)
                on_progress(len(batch))

            done = redrive.redrive(store, found.batches, bucket, writer, on_batch)
        echo(f"redriven {done.records} records; {done.batches} of {len(found.batches)} objects are complete")
        say_rebuilds(hints, datetime.now(UTC), target_options(stack_prefix, stage, outputs_file))
        if done.failure:
            say(f"stopped: {done.failure}; this batch and all later ones are where they were before")
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
    day: Annotated[
        list[datetime], typer.Option(parser=day_of, metavar="YYYY-MM-DD", help="A day in UTC. Repeat for more.")
    ],
    symbol: Annotated[
        list[str] | None, typer.Option(parser=_symbol, metavar="SYMBOL", help="A symbol. Repeat for more.")
    ] = None,
    all_symbols: Annotated[  # noqa: FBT002
        bool, typer.Option("--all-symbols", help="Rebuild every symbol that has a quote on the day.")
    ] = False,
    arrived_until: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"],
            metavar="YYYY-MM-DD[THH:MM]",
            help="Use the quotes that arrived up to this time (UTC). By default, that is the end of the next day. Set "
            "a later time if quotes were redriven or replayed later.",
        ),
    ] = None,
    lanes: LanesOption = None,
    dry_run: DryRunOption = False,  # noqa: FBT002
    stack_prefix: StackPrefixOption = DEFAULT_PREFIX,
    stage: StageOption = DEFAULT_STAGE,
    outputs_file: OutputsFileOption = None,
) -> None:
    """Compute the bars of a day again from the archive.

    It writes the bars that differ from the stored ones. Use it after a bug, a redrive, a replay, or quotes that came
    late. The bars and indicators become what they would be if every quote had arrived once and in order. Only minutes
    that ended over an hour ago are changed. The indicators start from the bars that are stored before the day. Those of
    later days, and those from which the live stream goes on, are computed again from the corrected bars. You may
    interrupt and repeat this command at any time. If nothing has changed, it writes nothing.
    """
    with reported_errors():
        if bool(symbol) == all_symbols:
            raise WrongUsage("use either --symbol or --all-symbols")
        now = datetime.now(UTC)
        until = None if arrived_until is None else arrived_until.replace(tzinfo=UTC)
        spans = [span_of(each, now) for each in sorted({each.date() for each in day})]
        if until is not None and until < spans[-1].end:
            raise WrongUsage(f"--arrived-until {until:%Y-%m-%dT%H:%M} is before the end of {spans[-1].start:%Y-%m-%d}")
        names = outputs_of(stack_prefix, stage, outputs_file)
        dynamodb, s3 = client("dynamodb", max_pool_connections=MOST_WRITERS), client("s3", max_pool_connections=READERS)
        bucket, table = required(names, "ArchiveBucket"), required(names, "BarsTable")
        lanes = lanes or Deployed(names, stack_prefix, stage, outputs_file).lanes()
        bars = BackfillBars(dynamodb, table)
        live = LiveLanes(DynamoLaneStates(dynamodb, required(names, "StateTable")), bars, lanes)
        refolder = Refolder(bars, ArchivedChunks(s3, bucket), live, run=run_name(), now=lambda: datetime.now(UTC))
        rebuilder = Rebuilder(
            S3ObjectStore(s3),
            bucket,
            DynamoBarTable(dynamodb, table),
            DynamoTable(dynamodb, required(names, "QuotesTable")),
            function_settings(client("lambda"), names.get("LiveAliasArn") or required(names, "FunctionName")),
            mark=refolder.mark,
            progress=progress,
        )
        wanted = frozenset(symbol) if symbol else None
        done: set[str] = set()
        with backfill_errors():
            found = [
                _rebuild_day(rebuilder, span, wanted, done, now=now, until=until, dry_run=dry_run) for span in spans
            ]
        are_computed = dry_run or _refold(refolder, done)
        if not (all(found) and are_computed):
            raise typer.Exit(NOT_DONE)


def _rebuild_day(
    rebuilder: Rebuilder,
    span: Span,
    wanted: frozenset[str] | None,
    rebuilt: set[str],
    *,
    now: datetime,
    until: datetime | None,
    dry_run: bool,
) -> bool:
    """Rebuild a day and say what was done. Returns whether the archive has a quote of everything that is wanted.

    The symbols that have been rebuilt are added to `rebuilt`.
    """
    day = f"{span.start:%Y-%m-%d}"
    if not span.is_whole_day:
        say(f"minutes from {span.end:%Y-%m-%dT%H:%M} on are younger than an hour, and stay as they are")
    if span.is_empty:
        return True
    done: list[RebuildResult] = []
    try:
        for result in rebuilder.rebuild(span, wanted, now=now, arrived_until=until, dry_run=dry_run):
            done.append(result)  # noqa: PERF402  (what is done is printed even if the rest is interrupted)
    finally:
        for result in done:
            if not result.is_young:
                rebuilt.add(result.symbol)
                echo(f"{day} {_summary(result, dry_run=dry_run)}")
    if young := [result.symbol for result in done if result.is_young]:
        listed = ", ".join(young[:MAX_NAMED]) + (", …" if len(young) > MAX_NAMED else "")
        say(f"{day}: all quotes of {listed} are younger than an hour, and nothing was changed")
    missing = sorted((wanted or frozenset()) - {result.symbol for result in done})
    last = last_arrival(span, until)
    # A replay of an old day arrives years after it.
    read = "" if last >= now else f" that arrived by {last:%Y-%m-%dT%H:%M} (see --arrived-until)"
    for absent in missing:
        say(f"{day} {absent}: the archive has no quote of it{read}, and nothing was changed")
    if wanted is None and not done:
        say(f"{day}: the archive has no quote of this day{read}, and nothing was changed")
    return bool(done) and not missing


def _refold(refolder: Refolder, symbols: set[str]) -> bool:
    """Compute the indicators after the corrected bars, and say what was done. Returns whether all are computed.

    An earlier run that was killed may have left something to compute for a symbol that this run has not changed.
    """
    failures: list[str] = []
    with progress("computing indicators", len(symbols)) as on_progress:
        for symbol in sorted(symbols):
            try:
                after = refolder.refold(symbol)
            except (BarsAreBusy, LaneIsBusy) as error:
                failures.append(str(error))
            else:
                if after.bars or after.live:
                    bars = "1 later bar" if after.bars == 1 else f"{after.bars:,} later bars"
                    live = " and of the live state" if after.live else ""
                    echo(f"{symbol}: computed the indicators of {bars}{live} again")
            on_progress(1)
    for failure in failures:
        say(failure)
    return not failures


def _summary(result: RebuildResult, *, dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    unchanged = result.bars - result.added - result.corrected - result.expired
    parts = [f"{result.corrected} {would}corrected", f"{result.added} {would}added", f"{unchanged} unchanged"]
    if result.expired:
        parts.append(f"{result.expired} not written because their time to live is over")
    if result.without_quotes:
        parts.append(f"{result.without_quotes} stored bars have no quote in the archive and stay")
    return f"{result.symbol}: {result.bars} bars: {', '.join(parts)}"
