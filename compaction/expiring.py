"""Lists of raw objects that are being deleted: `compacted/expiring/<day of arrival>.json`, one for each day."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date

import msgspec

from analytics.compacted_tables import FOLDER
from compaction.errors import Conflict, Damaged
from compaction.ports import Archive, ArchiveObject

PREFIX = f"{FOLDER}/expiring/"
_KEY = re.compile(rf"{PREFIX}(\d{{4}}-\d\d-\d\d)\.json", re.ASCII)

Entry = tuple[str, int, str]
"""The key, the size and the tag of an object. An object that was written again has another tag."""


def key_of(day: date) -> str:
    """The key of the list of a day."""
    return f"{PREFIX}{day.isoformat()}.json"


def entry_of(found: ArchiveObject) -> Entry:
    """How an object is listed."""
    return found.key, found.bytes, found.tag


def days(archive: Archive) -> Iterator[tuple[date, str]]:
    """The days whose objects are being deleted, and the keys of their lists."""
    for each in archive.objects(PREFIX):
        if found := _KEY.fullmatch(each.key):
            yield date.fromisoformat(found[1]), each.key


def write(archive: Archive, day: date, objects: Iterable[ArchiveObject]) -> bool:
    """List the objects of a day before they are deleted. Returns False if another run has listed them."""
    body = msgspec.json.encode([entry_of(each) for each in objects])
    try:
        archive.put(key_of(day), body, replaces=None)
    except Conflict:
        return False
    return True


def read(archive: Archive, key: str) -> set[Entry] | None:
    """The listed objects. None if another run has deleted the last of them. Raises `Damaged`."""
    found = archive.get(key)
    if found is None:
        return None
    try:
        return set(msgspec.json.decode(found, type=list[Entry]))
    except msgspec.MsgspecError as error:
        raise Damaged(
            f"{archive.root}/{key} is damaged: {error}. Delete it: the raw objects that are left of the day then stay"
        ) from error
