"""What lies in quarantine: its messages, their lines, and whether the processor would take a line now. Pure."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from datetime import datetime
from hashlib import blake2b

import msgspec

from operations.errors import Unreadable
from operations.ports import Held
from processor_lambda.ports import QuarantineMessage
from processor_lambda.records import Record, parse_record
from quotes import Heartbeat, decode, from_iso, lane_of, lanes_of_key, partition_key

_DECODER = msgspec.json.Decoder(QuarantineMessage)
_HANDLE_BYTES = 5


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the queue, with every copy of it: SQS and the processor may send one more than once."""

    id: str
    """The message's own; of what is no message of the processor's, the queue's."""
    handle: str
    """A short form of it, for a person to type."""
    message: QuarantineMessage | None
    """None if the body is not what the processor writes."""
    copies: tuple[Held, ...]

    @property
    def reason(self) -> str:
        """Why it is here."""
        return "not a message of the processor's" if self.message is None else self.message.reason


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries a command is about."""

    ids: tuple[str, ...] = ()
    """Ids or handles; none means all."""
    reason: str | None = None
    """A part of the reason, in any case."""
    arrived_before: datetime | None = None

    def of(self, entries: Iterable[Entry]) -> list[Entry]:
        """The entries that are meant, in their order."""
        return [entry for entry in entries if self._means(entry)]

    def not_found(self, entries: Iterable[Entry]) -> list[str]:
        """The ids that no entry has."""
        known = {name for entry in entries for name in (entry.id, entry.handle)}
        return [name for name in self.ids if name not in known]

    def _means(self, entry: Entry) -> bool:
        if self.ids and entry.id not in self.ids and entry.handle not in self.ids:
            return False
        if self.reason is not None and self.reason.lower() not in entry.reason.lower():
            return False
        if self.arrived_before is None:
            return True
        return entry.message is not None and from_iso(entry.message.arrival) < self.arrived_before


class Wanted(msgspec.Struct, frozen=True):
    """A line that the processor would take now, with the lane that it belongs to."""

    partition_key: str
    content: bytes


class Refusal(msgspec.Struct, frozen=True):
    """A line that is not put back, and why."""

    line: int | None
    """Its place: in its record, or in the file that stands in for it; None for an entry as a whole."""
    reason: str


def entries_of(held: Iterable[Held]) -> list[Entry]:
    """The entries of some messages, in the order in which their lines arrived."""
    bodies: dict[str, tuple[QuarantineMessage | None, list[Held]]] = {}
    for each in held:
        message = _message_of(each.body)
        bodies.setdefault(each.id if message is None else message.id, (message, []))[1].append(each)
    entries = [
        Entry(id=name, handle=handle_of(name), message=message, copies=tuple(copies))
        for name, (message, copies) in bodies.items()
    ]
    return sorted(entries, key=_place)


def handle_of(name: str) -> str:
    """Ten characters that stand for an id: of a million ids, two have the same with a chance of one half."""
    return blake2b(name.encode(), digest_size=_HANDLE_BYTES).hexdigest()


def lines_in(body: bytes, address: str) -> list[QuarantineMessage]:
    """The messages of an object that one message points to, a line each. Raises `Unreadable`."""
    try:
        return [_DECODER.decode(line) for line in gzip.decompress(body).splitlines()]
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError) as error:
        raise Unreadable(f"{address} is not what the processor writes there: {error}") from error


def judge(content: bytes, key: str, lanes: int | None, now: datetime) -> list[Wanted | Refusal]:
    """What to do with each line of some bytes, if they came to the processor now; it is its own code that judges.

    `key` is the partition key that they came under. A quote's lane is that of its symbol, among as many lanes as the
    key names, or `lanes`, which wins.
    """
    of_key = lanes_of_key(key) if lanes is None else lanes
    decoded = decode(content)
    judged: dict[int, Wanted | Refusal] = {bad.number: Refusal(bad.number, bad.reason) for bad in decoded.bad}
    for good in decoded.good:
        if isinstance(good.line, Heartbeat):
            # Later ones say all that it said; one of a clock ahead of time would close minutes that are under way.
            judged[good.number] = Refusal(good.number, "a heartbeat is of no use later: drop it")
        elif of_key is None:
            judged[good.number] = Refusal(good.number, "its record's partition key names no lanes: say --lanes")
        else:
            lane = partition_key(lane_of(good.line.symbol, of_key), of_key)
            problem = _refused(good.content, lane, now)
            judged[good.number] = Wanted(lane, good.content) if problem is None else Refusal(good.number, problem)
    return [judged[number] for number in sorted(judged)]


def _refused(line: bytes, lane: str, now: datetime) -> str | None:
    """Why the processor would refuse a line that arrived now; None if it would not."""
    record = Record(stream="", shard="", sequence_number=0, partition_key=lane, arrival=now, data=line)
    refused = parse_record(record).refused
    return refused[0].reason if refused else None


def readable(content: bytes) -> str | None:
    """The text of some bytes if a terminal can show all of it, else None."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return text if all(character.isprintable() or character in "\n\t" for character in text) else None


def harmless(text: str) -> str:
    """A text of unknown origin, with what would move a terminal's cursor written out."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def _message_of(body: str) -> QuarantineMessage | None:
    try:
        message = _DECODER.decode(body)
        from_iso(message.arrival)
        int(message.sequence_number)
    except (msgspec.MsgspecError, ValueError):
        return None
    return message if message.content is not None or message.object is not None else None


def _place(entry: Entry) -> tuple[str, str, int, int, str]:
    message = entry.message
    if message is None:
        return ("", "", 0, 0, entry.id)
    return (message.arrival, message.shard, int(message.sequence_number), message.line or 0, entry.id)
