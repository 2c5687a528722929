"""Commits the staged quotes of one event day: merged with its partition, sorted, each once, and verified."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

import msgspec
import pyarrow as pa

from analytics.compacted_tables import QUOTES
from compaction.disk import Checksum, once
from compaction.errors import Conflict, CountsDiffer
from compaction.iceberg import OpenTable, Tables
from compaction.line_columns import ORIGIN
from compaction.parquet_files import write
from compaction.small_tables import ATTEMPTS
from compaction.staging import IDENTITY, VALUES, Staging


class DayResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a commit did to an event day."""

    day: date
    rows: int
    """The rows of the day from now on."""
    added: int
    """How many more these are than before."""
    copies: int
    """How many staged or stored rows were copies of another one."""
    is_changed: bool


def commit(tables: Tables, staging: Staging, day: date) -> DayResult:
    """Merge the staged quotes of a day into its partition. Raises `CountsDiffer`, and `Conflict` after some attempts.

    If another run has changed the table in the meantime, the day is merged again, with what that run wrote. If nothing
    differs, nothing is committed.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return _attempt(tables, staging, day)
        except Conflict:
            continue
    return _attempt(tables, staging, day)


def _attempt(tables: Tables, staging: Staging, day: date) -> DayResult:
    table = tables.open(QUOTES)
    old = table.files(day)
    stored = (batch for path in old.paths for batch in table.batches(path))
    written: list[str] = []
    merged = _Merged(staging, table, day)
    try:
        write(table, merged.rows(stored), day, written)
        before = staging.existing()
        _verify(staging.staged(day).plus(before), merged, _read_back(table, staging, written), day)
        is_changed = merged.kept != before
        if is_changed:
            table.replace(old, written)
        else:
            table.delete(written)
    except (Conflict, CountsDiffer):
        table.delete(written)
        raise
    return DayResult(
        day=day,
        rows=merged.kept.rows,
        added=merged.kept.rows - before.rows,
        copies=merged.copies.rows,
        is_changed=is_changed,
    )


class _Merged:
    """The rows of a day, and the checksums of those that went through."""

    def __init__(self, staging: Staging, table: OpenTable, day: date) -> None:
        self._staging, self._table, self._day = staging, table, day
        self.kept, self.copies = Checksum(), Checksum()

    def rows(self, stored: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The rows as they are written."""
        for part in once(self._staging.sorted(self._day, stored), IDENTITY):
            self.kept = self.kept.plus(self._staging.checksum(part.kept))
            self.copies = self.copies.plus(self._staging.checksum(part.copies))
            yield self._with_places(part.kept)

    def _with_places(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        places = [self._staging.place(number) for number in rows[ORIGIN].to_pylist()]
        columns = {name: rows[name] for name in VALUES}
        columns["dt"] = pa.array([place.dt for place in places], pa.string())
        columns["hour"] = pa.array([place.hour for place in places], pa.int32())
        columns["day"] = pa.array([self._day], pa.date32()).take(pa.array([0] * len(places), pa.int32()))
        columns["object"] = pa.array([place.name for place in places], pa.string())
        schema = self._table.schema
        return pa.RecordBatch.from_arrays(
            [columns[name].cast(schema.field(name).type) for name in schema.names], schema=schema
        )


def _verify(given: Checksum, merged: _Merged, found: Checksum, day: date) -> None:
    """Raise `CountsDiffer` unless every given row was written or is a copy, and was found in the files."""
    taken = merged.kept.plus(merged.copies)
    if given != taken:
        raise CountsDiffer(f"{day}: {given.rows} rows were read and {taken.rows} were sorted, or their values differ")
    if found != merged.kept:
        raise CountsDiffer(
            f"{day}: {merged.kept.rows} rows were written and {found.rows} were read back, or their values differ"
        )


def _read_back(table: OpenTable, staging: Staging, written: list[str]) -> Checksum:
    """The checksum of the rows in new files."""
    found = Checksum()
    for path in written:
        for batch in table.batches(path, VALUES):
            found = found.plus(staging.checksum(batch))
    return found
