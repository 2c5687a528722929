"""Removes what is no longer needed: old snapshots, files of no snapshot, and raw objects, if that is wanted.

The raw objects of a day can only be compared with the ledger while all of them are there. So before the first one is
deleted, their list is written to `compacted/expiring/`. A run that finds such a list deletes what is left of it, and
nothing else of the day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

from analytics.compacted_tables import FOLDER, TABLES
from compaction import expiring, ledger
from compaction.arrivals import ONE_DAY, RAW, Arrival, arrival_days, fingerprint, objects_of, place_of
from compaction.errors import Conflict, Damaged
from compaction.iceberg import ADVICE, Tables, key_of
from compaction.ports import Archive, ArchiveObject
from compaction.publishing import published
from compaction.summary import Summary

ORPHAN_AGE = timedelta(days=3)
"""How old a file of no snapshot is when it is deleted. A run that writes files now has not committed them yet."""


class Upkeep:
    """Removes files at the time `now`, and counts them in the summary.

    `checkpoint` is called where nothing is half done, and may raise what ends the run.
    """

    def __init__(
        self,
        archive: Archive,
        tables: Tables,
        now: datetime,
        summary: Summary,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        self._archive, self._tables, self._now, self._summary = archive, tables, now, summary
        self._checkpoint = checkpoint

    def run(self, snapshot_days: int, raw_days: int) -> None:
        """Remove what is older. With `raw_days` of 0, raw objects stay."""
        for declared in TABLES:
            self._checkpoint()
            try:
                self._tables.open(declared).expire_snapshots(self._now - timedelta(days=snapshot_days))
            except Conflict:  # another run is at work, so the next one expires them
                continue
        self._delete_orphans()
        if raw_days:
            self._expire_raw(raw_days)

    def _delete_orphans(self) -> None:
        """Delete old files that no snapshot and no `current.json` names, such as those of a run that was killed.

        Raises `Damaged` if one that `current.json` names is gone. No raw object is then deleted after it.
        """
        last = published(self._archive)
        tables = () if last is None else last.tables.values()
        named = {key_of(path, self._archive.root) for table in tables for path in table.paths}
        published_keys = frozenset(named)
        for declared in TABLES:
            self._checkpoint()
            prefix = f"{FOLDER}/{declared.name}/"
            present = list(self._archive.objects(prefix))
            self._require(published_keys.difference(each.key for each in present), prefix)
            old = [each.key for each in present if each.written_at < self._now - ORPHAN_AGE]
            # Listed first: a file that a commit names after this was written later.
            named |= {key_of(path, self._archive.root) for path in self._tables.open(declared).referenced()}
            orphans = [key for key in old if key not in named]
            self._archive.delete(orphans)
            self._summary.files_deleted += len(orphans)

    def _require(self, gone: Iterable[str], prefix: str) -> None:
        """Raise `Damaged` for the first file of a table that is gone."""
        for key in sorted(key for key in gone if key.startswith(prefix)):
            raise Damaged(f"a file of the table is gone: {self._archive.root}/{key}. {ADVICE}")

    def _expire_raw(self, days: int) -> None:
        """Delete the raw objects of arrival days that are old, and are as the ledger says that they were compacted."""
        before = self._now.astimezone(UTC).date() - timedelta(days=days)
        for day, key in expiring.days(self._archive):
            self._checkpoint()
            if day < before and (listed := expiring.read(self._archive, key)) is not None:
                self._delete(
                    day, [each for each in objects_of(self._archive, day) if expiring.entry_of(each) in listed]
                )
        known = ledger.arrivals(self._tables)
        for day in arrival_days(self._archive.folders(RAW)):
            self._checkpoint()
            if day >= before or day not in known or not self._is_closed(known[day]):
                continue
            objects = objects_of(self._archive, day)
            if self._is_compacted(objects, known[day]) and expiring.write(self._archive, day, objects):
                self._delete(day, objects)

    def _delete(self, day: date, objects: Sequence[ArchiveObject]) -> None:
        """Delete the objects of a day, and then their list."""
        self._archive.delete(each.key for each in objects)
        self._summary.raw_objects_deleted += len(objects)
        self._archive.delete([expiring.key_of(day)])

    def _is_compacted(self, objects: Sequence[ArchiveObject], known: Arrival) -> bool:
        """Whether all objects of a day are as they were when they were compacted and verified."""
        return fingerprint(objects) == known.fingerprint and all(place_of(each.key) is not None for each in objects)

    def _is_closed(self, known: Arrival) -> bool:
        """Whether the event days that the quotes of a day may belong to are closed."""
        closed = self._summary.compacted_to
        return closed is not None and known.dt + ONE_DAY < closed and not known.has_more()
