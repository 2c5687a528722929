"""Replays quarantined lines: back on the stream under their lane's key, and off the queue when Kinesis has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

import msgspec

from aws_limits import KINESIS_PAYLOAD_UNIT_BYTES
from operations.errors import OperationsError, Unreadable
from operations.ordered_writer import Courier
from operations.ports import Objects, Packet
from operations.quarantine import Entry, Refusal, Wanted, judge, lines_in
from operations.queue_snapshot import Sweep
from processor_lambda.ports import QuarantineMessage

"""What Kinesis bills as one unit, and the mapping's batch size counts with. A longer line is a packet by itself."""


class Lines(Packet, frozen=True):
    """A packet of lines that were in quarantine."""

    lines: int
    entries: frozenset[str]
    """The ids of the entries that they come from."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay will do."""

    packets: tuple[Lines, ...]
    """Within each key, in the order in which their lines arrived first."""
    refused: dict[str, list[Refusal]]
    """What stays, by the entry's id."""

    @property
    def lines(self) -> int:
        """How many lines are put back."""
        return sum(packet.lines for packet in self.packets)


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay did."""

    lines: int
    """Lines that Kinesis has acknowledged."""
    deleted: int
    """Entries that left the queue."""
    refused: dict[str, list[Refusal]]
    """What stayed, and why, by the entry's id."""


def contents_of(entry: Entry, objects: Objects) -> Iterator[tuple[QuarantineMessage, bytes]]:
    """The lines that an entry stands for, with their bytes; from S3, if they lie there. Raises `OperationsError`."""
    message = entry.message
    if message is None:
        raise Unreadable("it is no message of the processor's: drop it")
    lines = [message] if message.object is None else lines_in(objects.get(message.object), message.object)
    yield from ((line, line.content) for line in lines if line.content is not None)


def plan(
    entries: Iterable[Entry], objects: Objects, *, lanes: int | None, now: datetime, fixed: bytes | None = None
) -> Plan:
    """Decide line by line. `fixed` stands in for the bytes of a single entry, and is taken whole or not at all."""
    packing = _Packing()
    refused: dict[str, list[Refusal]] = {}
    for entry in entries:
        try:
            if fixed is None or entry.message is None:
                judged = _judged(entry, objects, lanes, now)
            else:
                judged = judge(fixed, entry.message.partition_key, lanes, now)
        except OperationsError as error:
            judged = [Refusal(None, str(error))]
        if refusals := [each for each in judged if isinstance(each, Refusal)]:
            refused[entry.id] = refusals
            if fixed is not None:
                continue
        for each in judged:
            if isinstance(each, Wanted):
                packing.add(each, entry.id)
    return Plan(packets=tuple(packing.packets()), refused=refused)


def replay(sweep: Sweep, plan: Plan, courier: Courier, told: Callable[[int], None] = lambda _: None) -> Replayed:
    """Deliver a plan, and delete each entry as soon as Kinesis has acknowledged every line of it.

    An entry with a refused line stays whole: the next replay repeats its other lines, which changes nothing
    downstream. `told` hears of packets that have arrived. Raises `OperationsError`; what is not acknowledged by then
    is still in the queue.
    """
    by_id = {entry.id: entry for entry in sweep.entries}
    outstanding = Counter(name for packet in plan.packets for name in packet.entries)
    lines = deleted = 0

    def acknowledged(packets: Sequence[Lines]) -> None:
        nonlocal lines, deleted
        lines += sum(packet.lines for packet in packets)
        outstanding.subtract(name for packet in packets for name in packet.entries)
        done = {name for packet in packets for name in packet.entries if not outstanding[name]} - plan.refused.keys()
        sweep.delete(by_id[name] for name in done)
        deleted += len(done)
        told(len(packets))

    given_up = courier.deliver(plan.packets, acknowledged)
    refused = dict(plan.refused)
    for packet in plan.packets:
        if reason := given_up.get(packet.partition_key):
            for name in packet.entries:
                if outstanding[name]:
                    refused.setdefault(name, [Refusal(None, f"the stream did not take it: {reason}")])
    return Replayed(lines=lines, deleted=deleted, refused=refused)


def _judged(entry: Entry, objects: Objects, lanes: int | None, now: datetime) -> list[Wanted | Refusal]:
    judged: list[Wanted | Refusal] = []
    for message, content in contents_of(entry, objects):
        if message.line is None:
            return [Refusal(None, "it is an alert that SNS refused, and no line of the stream: drop it")]
        judged += (
            msgspec.structs.replace(each, line=message.line) if isinstance(each, Refusal) else each
            for each in judge(content, message.partition_key, lanes, now)
        )
    return judged


class _Packing:
    """Gathers lines into packets, within each key in the order in which they come."""

    def __init__(self) -> None:
        self._packets: list[tuple[str, list[bytes], set[str]]] = []
        self._open: dict[str, tuple[str, list[bytes], set[str]]] = {}

    def add(self, line: Wanted, entry: str) -> None:
        """Add a line of an entry."""
        packet = self._open.get(line.partition_key)
        size = 0 if packet is None else sum(len(content) + 1 for content in packet[1])
        if packet is None or size + len(line.content) >= KINESIS_PAYLOAD_UNIT_BYTES:
            packet = self._open[line.partition_key] = (line.partition_key, [], set())
            self._packets.append(packet)
        packet[1].append(line.content)
        packet[2].add(entry)

    def packets(self) -> Iterator[Lines]:
        """The packets, in the order of their first lines."""
        for key, contents, entries in self._packets:
            yield Lines(key, b"\n".join(contents) + b"\n", len(contents), frozenset(entries))
