"""The quarantine: its messages, their lines, and whether the processor would accept a line now. Pure."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from datetime import datetime
from hashlib import blake2b
from io import BytesIO

import msgspec

from operations.errors import Unreadable
from operations.ports import ReceivedMessage
from processor_lambda.ports import QuarantineMessage
from processor_lambda.records import Record, parse_record
from quotes import Heartbeat, decode, from_iso, lane_of, lanes_of_key, partition_key
from quotes.bounds import OutOfBounds, bounded_lines

_DECODER = msgspec.json.Decoder(QuarantineMessage)
MAX_CONTENT = 64 * 2**20
"""The most bytes of a decompressed object. It holds the refused lines of one record."""
_HANDLE_BYTES = 5


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the queue with all its copies. SQS and the processor may both send a message more than once."""

    id: str
    """The id that the processor gave the message. If the body is not a message of the processor, the id of SQS."""
    handle: str
    """A short form of the id, for a person to type."""
    message: QuarantineMessage | None
    """The message of the processor. None if the body is something else."""
    copies: tuple[ReceivedMessage, ...]

    @property
    def reason(self) -> str:
        """Why the message is in quarantine."""
        return "not a message of the processor" if self.message is None else self.message.reason


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries a command is about."""

    ids: tuple[str, ...] = ()
    """Ids or handles. Empty means all entries."""
    reason: str | None = None
    """Select only entries whose reason contains this text, whatever its case."""
    arrived_before: datetime | None = None
    """Select only entries whose lines arrived before this time."""
    release: str | None = None
    """Select only entries that this release of the function refused."""

    def select(self, entries: Iterable[Entry]) -> list[Entry]:
        """The selected entries, in the given order."""
        return [entry for entry in entries if self._matches(entry)]

    def not_found(self, entries: Iterable[Entry]) -> list[str]:
        """The ids and handles that belong to no entry."""
        known = {name for entry in entries for name in (entry.id, entry.handle)}
        return [name for name in self.ids if name not in known]

    def _matches(self, entry: Entry) -> bool:
        if self.ids and entry.id not in self.ids and entry.handle not in self.ids:
            return False
        if self.reason is not None and self.reason.lower() not in entry.reason.lower():
            return False
        if self.release is not None and (entry.message is None or entry.message.release != self.release):
            return False
        if self.arrived_before is None:
            return True
        return entry.message is not None and from_iso(entry.message.arrival) < self.arrived_before


class AcceptedLine(msgspec.Struct, frozen=True):
    """A line that the processor would accept now, with the partition key of its lane."""

    partition_key: str
    content: bytes


class Refusal(msgspec.Struct, frozen=True):
    """A line that cannot be replayed, and why."""

    line: int | None
    """The number of the line in its record, or in the file that replaces it. None for an entry as a whole."""
    reason: str


def entries_of(messages: Iterable[ReceivedMessage]) -> list[Entry]:
    """The entries of some messages, in the order in which their lines arrived."""
    by_id: dict[str, tuple[QuarantineMessage | None, list[ReceivedMessage]]] = {}
    for received in messages:
        message = _message_of(received.body)
        by_id.setdefault(received.id if message is None else message.id, (message, []))[1].append(received)
    entries = [
        Entry(id=name, handle=handle_of(name), message=message, copies=tuple(copies))
        for name, (message, copies) in by_id.items()
    ]
    return sorted(entries, key=_arrival_order)


def handle_of(name: str) -> str:
    """Ten hexadecimal characters that stand for an id. Among a million ids, two are the same with probability 0.4."""
    return blake2b(name.encode(errors="surrogatepass"), digest_size=_HANDLE_BYTES).hexdigest()


def lines_in(body: bytes, address: str) -> list[QuarantineMessage]:
    """The lines in an object that a message points to, each as a message of its own. Raises `Unreadable`."""
    try:
        with gzip.open(BytesIO(body)) as content:
            return [_DECODER.decode(line) for line in bounded_lines(content.read, max_size=MAX_CONTENT)]
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError, OutOfBounds, RecursionError) as error:
        raise Unreadable(f"{address} is not in the format that the processor writes there: {error}") from error


def check_lines(content: bytes, key: str, lanes: int | None, now: datetime) -> list[AcceptedLine | Refusal]:
    """Decide for each line of some bytes whether the processor would accept it now. The processor's own code decides.

    `key` is the partition key of the record that the bytes came in. A quote belongs to the lane of its symbol. The
    number of lanes is `lanes`, or if that is None, the number in the key.
    """
    count = lanes_of_key(key) if lanes is None else lanes
    decoded = decode(content)
    results: dict[int, AcceptedLine | Refusal] = {bad.number: Refusal(bad.number, bad.reason) for bad in decoded.bad}
    for good in decoded.good:
        if isinstance(good.line, Heartbeat):
            # Later heartbeats contain all that it says. If its clock was ahead of time, it would close open minutes.
            results[good.number] = Refusal(good.number, "an old heartbeat has no use: drop it")
        elif count is None:
            results[good.number] = Refusal(
                good.number, "the partition key of its record does not show the number of lanes: set --lanes"
            )
        else:
            lane = partition_key(lane_of(good.line.symbol, count), count)
            problem = _problem_of(good.content, lane, now)
            results[good.number] = (
                AcceptedLine(lane, good.content) if problem is None else Refusal(good.number, problem)
            )
    return [results[number] for number in sorted(results)]


def _problem_of(line: bytes, lane: str, now: datetime) -> str | None:
    """Why the processor would refuse a line that arrives now. None if it would accept it."""
    record = Record(stream="", shard="", sequence_number=0, partition_key=lane, arrival=now, data=line)
    refused = parse_record(record).refused
    return refused[0].reason if refused else None


def _message_of(body: str) -> QuarantineMessage | None:
    try:
        message = _DECODER.decode(body)
        from_iso(message.arrival)
        int(message.sequence_number)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return message if message.content is not None or message.object is not None else None


def _arrival_order(entry: Entry) -> tuple[str, str, int, int, str]:
    message = entry.message
    if message is None:
        return ("", "", 0, 0, entry.id)
    return (message.arrival, message.shard, int(message.sequence_number), message.line or 0, entry.id)
