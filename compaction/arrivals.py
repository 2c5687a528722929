"""Which arrival days a run reads, and up to which event day the tables are then complete. Pure.

A quote belongs to the UTC day of its event time, and its line to the day on which it arrived. The line of a quote lies
under the day of the quote or a later one, or under the day before, since a batch begins before its last record.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta

import msgspec

from compaction.ports import Archive, ArchiveObject

RAW = "raw-data/"
GRACE = timedelta(hours=2)
"""How long after midnight a day is closed. What arrives later is late, and a later run takes it."""
LOOK_BACK = timedelta(days=35)
"""How many arrival days are compared with what was read of them. Objects of earlier days do not change."""
LEAST_RAW_DAYS = LOOK_BACK.days + 1
"""Raw objects are kept at least so long, because a run compares these days with what it read of them."""
ONE_DAY = timedelta(days=1)
_LAST_HOUR = 23
_KEY = re.compile(r"raw-data/dt=(\d{4}-\d\d-\d\d)/hour=(\d\d)/([^/]+\.jsonl\.gz)", re.ASCII)
_FOLDER = re.compile(r"dt=(\d{4}-\d\d-\d\d)", re.ASCII)


class Place(msgspec.Struct, frozen=True, order=True):
    """Where an object of the archive lies. Places sort by arrival, like the rows of the view `quotes`."""

    dt: str
    hour: int
    length: int
    """The length of the name. Names contain sequence numbers, of which the longer one is the larger one."""
    name: str


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger knows of an arrival day."""

    dt: date
    fingerprint: str
    closed_to: date
    """Its quotes of earlier event days are in the tables."""
    last_event_day: date | None
    """The last event day that it has a quote of."""

    def has_more(self) -> bool:
        """Whether it has quotes that were not closed when it was read."""
        return self.last_event_day is not None and self.last_event_day >= self.closed_to


def place_of(key: str) -> Place | None:
    """The place of an object. None if the processor does not write such a key."""
    found = _KEY.fullmatch(key)
    return None if found is None else Place(found[1], int(found[2]), len(found[3]), found[3])


def arrival_days(folders: Iterable[str]) -> list[date]:
    """The arrival days of the archive, by the names of its folders, in order."""
    days: list[date] = []
    for name in folders:
        found = _FOLDER.fullmatch(name)
        with suppress(ValueError):  # the 30th of February is none
            days += [] if found is None else [date.fromisoformat(found[1])]
    return sorted(days)


def objects_of(archive: Archive, day: date) -> list[ArchiveObject]:
    """The objects of an arrival day, without those by which consoles and Hadoop represent folders."""
    found = archive.objects(f"{RAW}dt={day.isoformat()}/")
    return [each for each in found if not each.key.endswith(("/", "_$folder$"))]


def fingerprint(objects: Iterable[ArchiveObject]) -> str:
    """A text that changes if a day gets, loses or changes an object."""
    digest = hashlib.sha256()
    for each in objects:
        digest.update(f"{each.key}\t{each.bytes}\t{each.tag}\n".encode())
    return digest.hexdigest()


def closed_to(now: datetime) -> date:
    """The first event day that is not closed at a time in UTC."""
    return (now - GRACE).date()


def is_ahead(place: Place, day: date) -> bool:
    """Whether a quote of an event day in this place arrived so early that the views would not find it.

    Of an open day, they read what arrived on it and in the hour before it. A batch begins before its last record, by
    hours if the function was behind.
    """
    return (place.dt, place.hour) < ((day - ONE_DAY).isoformat(), _LAST_HOUR)


def closed_by(dt: date, ahead: date | None, limit: date) -> date:
    """The first event day that an arrival day leaves open at this limit. `ahead` is the last day of such quotes.

    If it is open, the arrival day stays open too, since the views read all of what arrived on an open day.
    """
    return limit if ahead is None or ahead < limit else min(dt, limit)


def candidates(
    present: Sequence[date], ledger: Mapping[date, Arrival], limit: date, wanted: Sequence[date] | None
) -> list[date]:
    """The arrival days whose objects are listed: those that may have something new. `wanted` are event days."""
    if wanted is not None:
        around = {day + shift for day in wanted for shift in (-ONE_DAY, timedelta(0), ONE_DAY)}
        return [day for day in present if day in around]
    return [
        day
        for day in present
        if day not in ledger or day >= limit - LOOK_BACK or (ledger[day].has_more() and ledger[day].closed_to < limit)
    ]


def is_to_be_read(day: date, found: str, ledger: Mapping[date, Arrival], limit: date) -> bool:
    """Whether an arrival day with this fingerprint has something that the tables lack."""
    known = ledger.get(day)
    return known is None or known.fingerprint != found or (known.has_more() and known.closed_to < limit)


def compacted_to(present: Iterable[date], ledger: Mapping[date, Arrival], limit: date, before: date | None) -> date:
    """The first event day that is not complete in the tables. A day that was closed by `before` stays closed.

    It is never later than `limit`, so a machine whose clock was ahead closes days too early only until the next run.
    """
    bounds = [limit]
    for day in present:
        known = ledger.get(day)
        if known is None:
            bounds.append(day - ONE_DAY)
        elif known.has_more():
            bounds.append(known.closed_to)
    found = min(bounds)
    return found if before is None else min(limit, max(found, before))
