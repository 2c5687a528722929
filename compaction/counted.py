"""What the ledger has counted of an arrival day: the keys of its objects, and their counts together.

It is the object `compacted/counted/<day of arrival>.json.gz`. It is written before the day's row of `archive_days`,
which repeats its counts.

Raw objects expire, arrive late, and may come back under their keys. One rule covers all of this: every object that was
ever read counts once. While all counted objects are there, the whole day is counted again. Otherwise, only the objects
that were not counted yet are counted, and their counts are added. They are told by their keys, because a key belongs
to one batch.
"""

from __future__ import annotations

import gzip
import zlib
from datetime import date

import msgspec

from analytics.compacted_tables import FOLDER
from compaction.errors import Conflict, Damaged
from compaction.ports import Archive

_ATTEMPTS = 5
"""How often the object is written again after another run has written it."""


class Counts(msgspec.Struct, kw_only=True):
    """What the objects of an arrival day have."""

    objects: int = 0
    bytes: int = 0
    quote_lines: int = 0
    heartbeats: int = 0
    actions: int = 0
    quarantined: int = 0
    """The positions of refused lines. Each counts once in objects that are read together."""
    lanes: int | None = None
    packets: int = 0
    first_event_day: date | None = None
    last_event_day: date | None = None
    ahead: date | None = None
    """The last event day of quotes that arrived earlier than the views look for: see `arrivals.is_ahead`."""

    def plus(self, other: Counts) -> Counts:
        """Of the objects of both, which have none in common."""
        return Counts(
            objects=self.objects + other.objects,
            bytes=self.bytes + other.bytes,
            quote_lines=self.quote_lines + other.quote_lines,
            heartbeats=self.heartbeats + other.heartbeats,
            actions=self.actions + other.actions,
            quarantined=self.quarantined + other.quarantined,
            lanes=max(filter(None, (self.lanes, other.lanes)), default=None),
            packets=self.packets + other.packets,
            first_event_day=min(filter(None, (self.first_event_day, other.first_event_day)), default=None),
            last_event_day=max(filter(None, (self.last_event_day, other.last_event_day)), default=None),
            ahead=max(filter(None, (self.ahead, other.ahead)), default=None),
        )


class Counted(msgspec.Struct, frozen=True):
    """The objects of an arrival day that were ever counted."""

    keys: frozenset[str] = frozenset()
    counts: Counts = msgspec.field(default_factory=Counts)

    def uncounted(self, present: frozenset[str]) -> frozenset[str]:
        """The objects whose counts are needed if these are there: all, or those that were not counted before."""
        return present if self.keys <= present else present - self.keys

    def plus(self, present: frozenset[str], counts: Counts) -> Counted:
        """With the counts of the uncounted ones of the objects that are there."""
        if self.keys <= present:
            return Counted(present, counts)
        return Counted(self.keys | present, self.counts.plus(counts))


def read(archive: Archive, day: date) -> Counted:
    """What was counted of an arrival day. Raises `Damaged` and `Unavailable`."""
    return _read(archive, day)[0]


def add(archive: Archive, day: date, present: frozenset[str], uncounted: frozenset[str], counts: Counts) -> Counted:
    """Note what was read of a day: the objects that were there, and the counts of those that were uncounted.

    If another run has counted all of these objects in the meantime, its counts stay. Raises `Conflict` if it has
    counted some of them: then the day has to be read again.
    """
    for _ in range(_ATTEMPTS):
        before, tag = _read(archive, day)
        needed = before.uncounted(present)
        if not needed:
            return before
        if needed != uncounted:
            break
        after = before.plus(present, counts)
        if after == before:
            return before
        try:
            archive.put(_key(day), gzip.compress(_encode(after), mtime=0), replaces=tag)
        except Conflict:
            continue
        return after
    raise Conflict(f"arrival day {day}: another run counts it at the same time. The next run reads it again")


def _key(day: date) -> str:
    return f"{FOLDER}/counted/{day.isoformat()}.json.gz"


def _encode(counted: Counted) -> bytes:
    return msgspec.json.encode(counted, order="deterministic")


def _read(archive: Archive, day: date) -> tuple[Counted, str | None]:
    found = archive.get_tagged(_key(day))
    if found is None:
        return Counted(), None
    body, tag = found
    try:
        return msgspec.json.decode(gzip.decompress(body), type=Counted), tag
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Damaged(
            f"{archive.root}/{_key(day)} is damaged: {error}. Restore an earlier version, or delete it: the day is "
            "then counted by the objects that are left"
        ) from error
