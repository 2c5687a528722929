"""The commands of `python -m operations quarantine`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from operations import kinesis, quarantine_view, replay
from operations.aws import client
from operations.command_line import (
    DEFAULT_PREFIX,
    DEFAULT_STAGE,
    NOT_DONE,
    DryRunOption,
    OutputsFileOption,
    StackPrefixOption,
    StageOption,
    epilog,
    out,
    outputs_of,
    progress,
    reported_errors,
    say,
    say_rebuilds,
    target_options,
)
from operations.errors import NotFound, WrongUsage
from operations.kinesis import KinesisStream
from operations.ordered_writer import OrderedWriter
from operations.outputs import Outputs, required
from operations.quarantine import Entry, Selection
from operations.queue_snapshot import QueueSnapshot
from operations.rebuild_hints import RebuildHints
from operations.s3 import S3ObjectStore
from operations.sqs import HIDDEN_SECONDS, SqsQueue
from quotes import MAX_LANES
from terminal.output import echo

_EPILOG = (
    "SQS cannot show a message without hiding it from all other readers. So while a command runs, the messages that it "
    "reads are hidden. They become visible again when it ends, or, if it is killed, after "
    f"{HIDDEN_SECONDS} seconds."
)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List, show, replay or drop refused lines.",
    epilog=_EPILOG,
)


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a duration like 90s, 30m, 2h or 3d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="Ids that `list` shows, in their short or long form.")
]
AllOption = Annotated[
    bool, typer.Option("--all", help="All messages, or those that --reason, --older, --release select.")
]
ReasonOption = Annotated[
    str | None, typer.Option(help="Only messages whose reason contains this text, whatever its case.")
]
OlderOption = Annotated[
    timedelta | None,
    typer.Option(
        parser=_duration,
        metavar="AGE",
        help="Only messages that arrived longer ago than this, like 90s, 30m, 2h or 3d.",
    ),
]
ReleaseOption = Annotated[
    str | None,
    typer.Option(
        help="Only messages of this release of the function, which `deploy` names if it was rolled back.",
    ),
]
LimitOption = Annotated[int, typer.Option(min=1, help="Read at most this many messages.")]
DEFAULT_LIMIT = 10_000
_MORE = "there may be more: set a higher --limit, or first replay or drop messages that were read"
OVERFLOW = "quarantine/"
"""The prefix of the objects with lines that are too long for a message."""


@app.command("list", epilog=epilog("quarantine list", "quarantine list --reason price --older 2h --json | jq .reason"))
def list_(  # noqa: PLR0917  (options, by name)
    json: Annotated[  # noqa: FBT002
        bool, typer.Option("--json", help="Print each message as a line of JSON. Bytes are in base64.")
    ] = False,
    reason: ReasonOption = None,
    older: OlderOption = None,
    release: ReleaseOption = None,
    limit: LimitOption = DEFAULT_LIMIT,
    stack_prefix: StackPrefixOption = DEFAULT_PREFIX,
    stage: StageOption = DEFAULT_STAGE,
    outputs_file: OutputsFileOption = None,
) -> None:
    """List the messages in quarantine, oldest first."""
    with reported_errors():
        now = datetime.now(UTC)
        selection = Selection(reason=reason, arrived_before=_before(now, older), release=release)
        with _snapshot(outputs_of(stack_prefix, stage, outputs_file), limit) as snapshot:
            entries = selection.select(snapshot.entries)
        if json:
            for entry in entries:
                sys.stdout.write(quarantine_view.json_of(entry) + "\n")
        elif entries:
            out.print(quarantine_view.table_of(entries, now))
        say(f"{len(entries)} messages" + ("" if snapshot.complete else f"; {_MORE}"))


@app.command(epilog=epilog("quarantine show 3f9a0c51e2", "quarantine show 3f9a0c51e2 --raw > line.json"))
def show(  # noqa: PLR0917  (options, by name)
    id_: Annotated[str, typer.Argument(metavar="ID", help="An id that `list` shows, in its short or long form.")],
    raw: Annotated[  # noqa: FBT002
        bool, typer.Option("--raw", help="Print only the bytes, all of them, with a newline after each line.")
    ] = False,
    limit: LimitOption = DEFAULT_LIMIT,
    stack_prefix: StackPrefixOption = DEFAULT_PREFIX,
    stage: StageOption = DEFAULT_STAGE,
    outputs_file: OutputsFileOption = None,
) -> None:
    """Show a message and its bytes.

    It says where the message came from and why it was refused. Bytes are shown as text if a terminal can show it, and
    in hexadecimal otherwise. Lines that are stored in S3 are read from there.
    """
    with reported_errors():
        names = outputs_of(stack_prefix, stage, outputs_file)
        with _snapshot(names, limit) as snapshot:
            (entry,) = _selected(snapshot, Selection(ids=(id_,)))
        if not raw:
            for line in quarantine_view.description_of(entry, datetime.now(UTC)):
                echo(line)
        if entry.message is None:
            body = entry.copies[0].body
            raw_lines, described = [quarantine_view.bytes_of(body)], quarantine_view.describe_body(body)
        else:
            contents = list(replay.contents_of(entry, _overflow(names)))
            raw_lines, described = [content for _, content in contents], quarantine_view.describe_contents(contents)
        if raw:
            sys.stdout.buffer.write(b"".join(line + b"\n" for line in raw_lines))
            return
        for line in described:
            echo(line)


@app.command(
    "replay",
    epilog=epilog(
        "quarantine replay 3f9a0c51e2",
        "quarantine replay 3f9a0c51e2 --fixed line.json",
        "quarantine replay --all --reason 'ahead of the record' --dry-run",
    ),
)
def replay_(  # noqa: PLR0917  (options, by name)
    ids: IdsArgument = None,
    all_: AllOption = False,  # noqa: FBT002
    fixed: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Replay the lines in this file instead of the message's. If one of them is refused, none is replayed.",
        ),
    ] = None,
    lanes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_LANES,
            help="The stream's number of lanes.",
            show_default="the number in the record's partition key",
        ),
    ] = None,
    dry_run: DryRunOption = False,  # noqa: FBT002
    reason: ReasonOption = None,
    older: OlderOption = None,
    release: ReleaseOption = None,
    limit: LimitOption = DEFAULT_LIMIT,
    stack_prefix: StackPrefixOption = DEFAULT_PREFIX,
    stage: StageOption = DEFAULT_STAGE,
    outputs_file: OutputsFileOption = None,
) -> None:
    """Put refused lines back on the stream.

    Only lines that the processor would accept now are put back. Its own code decides, line by line. An accepted line
    goes to the lane of its symbol. A line that would be refused again stays in quarantine with the reason, and its
    message stays whole. A message is deleted only when Kinesis has acknowledged all of its lines. Replaying a line
    twice has no effect downstream.
    """
    with reported_errors():
        now = datetime.now(UTC)
        selection = _selection(ids, reason, _before(now, older), release, all_=all_)
        if fixed is not None and len(selection.ids) != 1:
            raise WrongUsage("--fixed replaces the lines of one message: name exactly one ID")
        names = outputs_of(stack_prefix, stage, outputs_file)
        with _snapshot(names, limit) as snapshot:
            entries = _selected(snapshot, selection)
            content = None if fixed is None else fixed.read_bytes()
            plan = replay.plan(entries, _overflow(names), lanes=lanes, now=now, fixed=content)
            for line in quarantine_view.describe_refusals(plan.refused, entries):
                say(line)
            if dry_run:
                echo(f"would replay {plan.lines} lines in {len(plan.packets)} packets")
                raise typer.Exit(NOT_DONE if plan.refused else 0)
            stream = KinesisStream(client("kinesis", **kinesis.SETTINGS), required(names, "StreamName"))
            with progress("replaying", len(plan.packets)) as on_progress:
                done = replay.replay(snapshot, plan, OrderedWriter(stream), on_progress)
            refused = {name: why for name, why in done.refused.items() if name not in plan.refused}
            for line in quarantine_view.describe_refusals(refused, entries):
                say(line)
        echo(f"replayed {done.lines} lines; {done.deleted} of {len(entries)} messages left the quarantine")
        hints = RebuildHints()
        hints.add(packet.data for packet in plan.packets)
        say_rebuilds(hints, now, target_options(stack_prefix, stage, outputs_file))
        if done.refused:
            raise typer.Exit(NOT_DONE)


@app.command(epilog=epilog("quarantine drop 3f9a0c51e2", "quarantine drop --all --reason 'not a JSON object' --yes"))
def drop(  # noqa: PLR0917  (options, by name)
    ids: IdsArgument = None,
    all_: AllOption = False,  # noqa: FBT002
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking for confirmation.")] = False,  # noqa: FBT002
    reason: ReasonOption = None,
    older: OlderOption = None,
    release: ReleaseOption = None,
    limit: LimitOption = DEFAULT_LIMIT,
    stack_prefix: StackPrefixOption = DEFAULT_PREFIX,
    stage: StageOption = DEFAULT_STAGE,
    outputs_file: OutputsFileOption = None,
) -> None:
    """Delete messages from the quarantine.

    The archive keeps the bytes of their lines until it expires.
    """
    with reported_errors():
        selection = _selection(ids, reason, _before(datetime.now(UTC), older), release, all_=all_)
        with _snapshot(outputs_of(stack_prefix, stage, outputs_file), limit) as snapshot:
            entries = _selected(snapshot, selection)
            if entries and not yes:
                out.print(quarantine_view.table_of(entries, datetime.now(UTC)))
                typer.confirm(f"Delete these {len(entries)} messages?", abort=True, err=True)
            snapshot.delete(entries)
        echo(f"dropped {len(entries)} messages")


@contextmanager
def _snapshot(names: Outputs, limit: int) -> Iterator[QueueSnapshot]:
    queue = SqsQueue(client("sqs"), required(names, "QuarantineQueueUrl"))
    with ExitStack() as stack:
        with progress("reading the queue", min(queue.count(), limit)) as on_progress:
            snapshot = stack.enter_context(QueueSnapshot(queue, limit, on_progress))
        yield snapshot


def _overflow(names: Outputs) -> S3ObjectStore:
    """The objects that a message may point to. A forged one could point to any other."""
    return S3ObjectStore(client("s3"), f"s3://{required(names, 'ArchiveBucket')}/{OVERFLOW}")


def _selection(
    ids: list[str] | None, reason: str | None, arrived_before: datetime | None, release: str | None, *, all_: bool
) -> Selection:
    if bool(ids) == all_:
        raise WrongUsage("name messages by ID, or use --all, but not both")
    if ids and (reason is not None or arrived_before is not None or release is not None):
        raise WrongUsage("--reason, --older and --release need --all: messages that are named by ID are chosen already")
    return Selection(ids=tuple(ids or ()), reason=reason, arrived_before=arrived_before, release=release)


def _selected(snapshot: QueueSnapshot, selection: Selection) -> list[Entry]:
    """The selected entries. Raises `NotFound` if there is none with one of the ids."""
    if missing := selection.not_found(snapshot.entries):
        more = "" if snapshot.complete else f"; {_MORE}"
        raise NotFound(f"not in quarantine, or hidden by another reader: {', '.join(missing)}{more}")
    return selection.select(snapshot.entries)


def _before(now: datetime, age: timedelta | None) -> datetime | None:
    return None if age is None else now - age
