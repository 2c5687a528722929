"""Replays quarantined lines: puts them back on the stream, and deletes a message once Kinesis has all of its lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

import msgspec

from operations.errors import OperationsError, Unreadable
from operations.ordered_writer import OrderedWriter
from operations.ports import ObjectStore
from operations.quarantine import AcceptedLine, Entry, Refusal, check_lines, lines_in
from operations.queue_snapshot import QueueSnapshot
from operations.replay_plan import PlannedPacket, ReplayPlan, replay_plan
from processor_lambda.ports import QuarantineMessage


class ReplayResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay did."""

    lines: int
    """The number of lines that Kinesis acknowledged."""
    deleted: int
    """The number of entries that were deleted from the queue."""
    refused: dict[str, list[Refusal]]
    """What stays in quarantine and why, by the id of the entry."""


def contents_of(entry: Entry, store: ObjectStore) -> Iterator[tuple[QuarantineMessage, bytes]]:
    """The lines of an entry with their bytes, which may have to be read from S3. Raises `OperationsError`."""
    message = entry.message
    if message is None:
        raise Unreadable("it is not a message of the processor: drop it")
    lines = [message] if message.object is None else lines_in(store.get(message.object), message.object)
    yield from ((line, line.content) for line in lines if line.content is not None)


def plan(
    entries: Iterable[Entry], store: ObjectStore, *, lanes: int | None, now: datetime, fixed: bytes | None = None
) -> ReplayPlan:
    """Plan the replay of some entries, line by line. `lanes` is as in `check_lines`.

    `fixed` replaces the bytes of a single entry. Its lines are replayed only if all of them are accepted.
    """
    checked = ((entry, _check(entry, store, lanes, now, fixed)) for entry in entries)
    return replay_plan(checked, all_or_nothing=fixed is not None)


def replay(
    snapshot: QueueSnapshot,
    plan: ReplayPlan,
    writer: OrderedWriter,
    on_progress: Callable[[int], None] = lambda _: None,
) -> ReplayResult:
    """Carry out a plan. An entry is deleted as soon as Kinesis has acknowledged every line of it.

    An entry with a refused line stays whole, and the next replay repeats its other lines, which has no effect
    downstream. `on_progress` is called with the number of packets that have arrived since the last call. Raises
    `OperationsError`. What Kinesis has not acknowledged by then is still in the queue.
    """
    by_id = {entry.id: entry for entry in snapshot.entries}
    outstanding = Counter(name for packet in plan.packets for name in packet.entries)
    lines = deleted = 0

    def on_acknowledged(packets: Sequence[PlannedPacket]) -> None:
        nonlocal lines, deleted
        lines += sum(packet.lines for packet in packets)
        outstanding.subtract(name for packet in packets for name in packet.entries)
        done = {name for packet in packets for name in packet.entries if not outstanding[name]} - plan.refused.keys()
        snapshot.delete(by_id[name] for name in done)
        deleted += len(done)
        on_progress(len(packets))

    given_up = writer.write(plan.packets, on_acknowledged)
    refused = dict(plan.refused)
    for packet in plan.packets:
        if reason := given_up.get(packet.partition_key):
            for name in packet.entries:
                if outstanding[name]:
                    refused.setdefault(name, [Refusal(None, f"the stream did not accept it: {reason}")])
    return ReplayResult(lines=lines, deleted=deleted, refused=refused)


def _check(
    entry: Entry, store: ObjectStore, lanes: int | None, now: datetime, fixed: bytes | None
) -> list[AcceptedLine | Refusal]:
    """The result for each line of an entry, or for each line of the bytes that replace them."""
    try:
        if fixed is not None and entry.message is not None:
            return check_lines(fixed, entry.message.partition_key, lanes, now)
        results: list[AcceptedLine | Refusal] = []
        for message, content in contents_of(entry, store):
            if message.line is None:
                return [Refusal(None, "it is an alert that SNS refused, not a line of the stream: drop it")]
            results += (
                msgspec.structs.replace(each, line=message.line) if isinstance(each, Refusal) else each
                for each in check_lines(content, message.partition_key, lanes, now)
            )
    except OperationsError as error:
        return [Refusal(None, str(error))]
    return results
