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

from operations import kinesis, replay, view
from operations.aws import client
from operations.console import (
    NOT_DONE,
    OutputsFileOption,
    StackPrefixOption,
    StageOption,
    epilog,
    errors_told,
    out,
    outputs_of,
    progress,
    say,
)
from operations.errors import NotThere, WrongUsage
from operations.kinesis import KinesisStream
from operations.ordered_writer import Courier
from operations.outputs import Outputs, named
from operations.quarantine import Entry, Selection, harmless
from operations.queue_snapshot import Sweep
from operations.rebuild_hints import Due
from operations.s3 import S3Objects
from operations.sqs import HIDDEN_SECONDS, SqsQueue
from quotes import MAX_LANES

_PEEK = (
    "SQS has no peek: while a command looks, the messages are hidden from everybody else; it shows them again when it "
    f"ends. If it is killed, they come back by themselves after {HIDDEN_SECONDS} seconds."
)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look at refused lines, put them back on the stream, or drop them.",
    epilog=_PEEK,
)


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a duration like 90s, 30m, 2h or 3d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="Ids as `list` shows them, short or whole.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Every message that the filters let through.")]
ReasonOption = Annotated[str | None, typer.Option(help="Only messages whose reason holds this text, in any case.")]
OlderOption = Annotated[
    timedelta | None,
    typer.Option(parser=_duration, metavar="AGE", help="Only what arrived longer ago: 90s, 30m, 2h, 3d."),
]
LimitOption = Annotated[int, typer.Option(min=1, help="Look at so many messages at the most.")]
DEFAULT_LIMIT = 10_000


@app.command("list", epilog=epilog("quarantine list", "quarantine list --reason price --older 2h --json | jq .reason"))
def list_(  # noqa: PLR0917  (options, by name)
    json: Annotated[bool, typer.Option("--json", help="A line of JSON a message, bytes in base64.")] = False,  # noqa: FBT002
    reason: ReasonOption = None,
    older: OlderOption = None,
    limit: LimitOption = DEFAULT_LIMIT,
    stack_prefix: StackPrefixOption = "stockstream",
    stage: StageOption = "dev",
    outputs_file: OutputsFileOption = None,
) -> None:
    """List what is in quarantine, the oldest first."""
    with errors_told():
        now = datetime.now(UTC)
        chosen = Selection(reason=reason, arrived_before=_before(now, older))
        with _swept(outputs_of(stack_prefix, stage, outputs_file), limit) as sweep:
            entries = chosen.of(sweep.entries)
        if json:
            for entry in entries:
                typer.echo(view.json_of(entry))
        elif entries:
            out.print(view.table_of(entries, now))
        say(f"{len(entries)} messages" + ("" if sweep.complete else "; there may be more: --limit looks further"))


@app.command(epilog=epilog("quarantine show 3f9a0c51e2", "quarantine show 3f9a0c51e2 --raw > line.json"))
def show(  # noqa: PLR0917  (options, by name)
    id_: Annotated[str, typer.Argument(metavar="ID", help="An id as `list` shows it, short or whole.")],
    raw: Annotated[bool, typer.Option("--raw", help="The bytes alone, whole, a newline behind each line.")] = False,  # noqa: FBT002
    limit: LimitOption = DEFAULT_LIMIT,
    stack_prefix: StackPrefixOption = "stockstream",
    stage: StageOption = "dev",
    outputs_file: OutputsFileOption = None,
) -> None:
    """Show one message: what it is, where it came from, why it was refused, and its bytes.

    Bytes are shown as text where a terminal can show them, in hexadecimal otherwise. Lines that lie in S3 are read
    from there.
    """
    with errors_told():
        with _swept(outputs_of(stack_prefix, stage, outputs_file), limit) as sweep:
            (entry,) = _chosen(sweep, Selection(ids=(id_,)))
        if not raw:
            for line in view.description_of(entry, datetime.now(UTC)):
                typer.echo(harmless(line))
        if entry.message is None:
            typer.echo(entry.copies[0].body)
            return
        contents = list(replay.contents_of(entry, S3Objects(client("s3"))))
        if raw:
            sys.stdout.buffer.write(b"".join(content + b"\n" for _, content in contents))
            return
        for line in view.contents_shown(contents):
            typer.echo(line)


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
            exists=True, dir_okay=False, help="Put the lines of this file back in place of the one message's."
        ),
    ] = None,
    lanes: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_LANES, help="The stream's number of lanes; else what the partition key names."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,  # noqa: FBT002
    reason: ReasonOption = None,
    older: OlderOption = None,
    limit: LimitOption = DEFAULT_LIMIT,
    stack_prefix: StackPrefixOption = "stockstream",
    stage: StageOption = "dev",
    outputs_file: OutputsFileOption = None,
) -> None:
    """Put refused lines back on the stream, if the processor would take them now.

    Each line is judged by the processor's own code and goes under the key of its symbol's lane. What would be refused
    again stays, with its reason, and so does the whole message that it is of. A message is deleted only when Kinesis
    has acknowledged all its lines. Replaying twice changes nothing downstream.
    """
    with errors_told():
        now = datetime.now(UTC)
        chosen = _selection(ids, reason, _before(now, older), all_=all_)
        if fixed is not None and len(chosen.ids) != 1:
            raise WrongUsage("--fixed stands in for one message: name one ID")
        names = outputs_of(stack_prefix, stage, outputs_file)
        with _swept(names, limit) as sweep:
            entries = _chosen(sweep, chosen)
            content = None if fixed is None else fixed.read_bytes()
            plan = replay.plan(entries, S3Objects(client("s3")), lanes=lanes, now=now, fixed=content)
            for line in view.refusals_of(plan.refused, entries):
                say(line)
            if dry_run:
                typer.echo(f"would replay {plan.lines} lines in {len(plan.packets)} packets")
                raise typer.Exit(NOT_DONE if plan.refused else 0)
            stream = KinesisStream(client("kinesis", **kinesis.SETTINGS), named(names, "StreamName"))
            with progress("replaying", len(plan.packets)) as told:
                done = replay.replay(sweep, plan, Courier(stream), told)
            refused = {name: why for name, why in done.refused.items() if name not in plan.refused}
            for line in view.refusals_of(refused, entries):
                say(line)
        typer.echo(f"replayed {done.lines} lines; {done.deleted} of {len(entries)} messages left the quarantine")
        _tell_due(plan, now)
        if done.refused:
            raise typer.Exit(NOT_DONE)


@app.command(epilog=epilog("quarantine drop 3f9a0c51e2", "quarantine drop --all --reason 'not a JSON object' --yes"))
def drop(  # noqa: PLR0917  (options, by name)
    ids: IdsArgument = None,
    all_: AllOption = False,  # noqa: FBT002
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002
    reason: ReasonOption = None,
    older: OlderOption = None,
    limit: LimitOption = DEFAULT_LIMIT,
    stack_prefix: StackPrefixOption = "stockstream",
    stage: StageOption = "dev",
    outputs_file: OutputsFileOption = None,
) -> None:
    """Delete messages from the quarantine. The bytes of their lines stay in the archive, as long as it is kept."""
    with errors_told():
        chosen = _selection(ids, reason, _before(datetime.now(UTC), older), all_=all_)
        with _swept(outputs_of(stack_prefix, stage, outputs_file), limit) as sweep:
            entries = _chosen(sweep, chosen)
            if entries and not yes:
                out.print(view.table_of(entries, datetime.now(UTC)))
                typer.confirm(f"Delete these {len(entries)} messages for good?", abort=True, err=True)
            sweep.delete(entries)
        typer.echo(f"dropped {len(entries)} messages")


@contextmanager
def _swept(names: Outputs, limit: int) -> Iterator[Sweep]:
    queue = SqsQueue(client("sqs"), named(names, "QuarantineQueueUrl"))
    with ExitStack() as stack:
        with progress("reading the queue", min(queue.count(), limit)) as seen:
            sweep = stack.enter_context(Sweep(queue, limit, seen))
        yield sweep


def _selection(ids: list[str] | None, reason: str | None, arrived_before: datetime | None, *, all_: bool) -> Selection:
    if bool(ids) == all_:
        raise WrongUsage("name messages by ID, or take --all of them: one of the two")
    if ids and (reason is not None or arrived_before is not None):
        raise WrongUsage("--reason and --older choose among --all, not among named IDs")
    return Selection(ids=tuple(ids or ()), reason=reason, arrived_before=arrived_before)


def _chosen(sweep: Sweep, chosen: Selection) -> list[Entry]:
    """The entries that are meant. Raises `NotThere` if one of the ids is none of theirs."""
    if missing := chosen.not_found(sweep.entries):
        more = "" if sweep.complete else "; not all of it was seen: --limit looks further"
        raise NotThere(f"not in the quarantine, or hidden by another reader: {', '.join(missing)}{more}")
    return chosen.of(sweep.entries)


def _before(now: datetime, age: timedelta | None) -> datetime | None:
    return None if age is None else now - age


def _tell_due(plan: replay.Plan, now: datetime) -> None:
    due = Due()
    due.add(packet.data for packet in plan.packets)
    for command in due.commands(now):
        say(f"their minutes may be closed; an hour after them, correct the bars: {command}")
