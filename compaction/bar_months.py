"""Commits bars by month: those of the table of bars replace those that were compacted before.

A row of the table of bars does not say when it was written, so the later reading counts. It never replaces a bar that
counts more by its provenance: one of the stream that has expired stays, though a backfill has stored another one since.
A month is committed only if its files are still those from before its bars were read. If another run has replaced them,
its bars are read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from analytics.compacted_tables import BARS
from bars.keys import resolution_of, start_of
from bars.provenance import BEST_FIRST, provenance_of, rank_of
from compaction.bar_ranges import Range
from compaction.disk import ARROW, Checksum, Disk, once
from compaction.errors import Conflict, CountsDiffer
from compaction.iceberg import DataFiles, OpenTable, Tables
from compaction.parquet_files import write
from compaction.ports import History
from compaction.small_tables import ATTEMPTS

_SCHEMA = pa.schema([(column.name, ARROW[column.type]) for column in BARS.columns])
_RANK = "rank"
_RANKED = _SCHEMA.append(pa.field(_RANK, pa.int32()))
"""With how little a bar counts beside others of its key."""
_BARS_AT_ONCE = 10_000
_FRESH, _STORED = "fresh", "stored"


class BarMonths:
    """Bars by month. Use it in a `with` block, see `Disk`."""

    def __init__(
        self, tables: Tables, history: History, checkpoint: Callable[[], None], scratch: Path | None = None
    ) -> None:
        """`checkpoint` is called where nothing is half done. It may raise."""
        self._tables, self._history, self._checkpoint = tables, history, checkpoint
        self._ranges: list[Range] = []
        self._files: dict[date | None, set[str]] = {}
        self._disk = Disk(scratch, _RANKED, BARS.names)
        self._disk.make(_FRESH)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disk.__exit__(kind, error, trace)

    def read(self, ranges: Sequence[Range], on_progress: Callable[[int], None]) -> None:
        """Read bars of the table of bars. Rows of another kind are left out. Ranges may overlap."""
        table = self._tables.open(BARS)  # before the bars, see above
        for entry in table.files().entries:
            self._files.setdefault(table.partition_of(entry), set()).add(entry.file_path)
        for each in ranges:
            self._add(each)
            self._ranges.append(each)
            on_progress(1)
            self._checkpoint()

    def commit(self) -> int:
        """Put the bars into the table. Returns how many months differ from before. Raises `Conflict`."""
        months = self._disk.connection.execute(
            f"SELECT DISTINCT CAST(date_trunc('month', day) AS date) FROM {_FRESH} ORDER BY 1"  # noqa: S608  (our names)
        ).fetchall()
        changed = 0
        for (month,) in months:
            changed += self._commit(month)
            self._checkpoint()
        return changed

    def _commit(self, month: date) -> bool:
        for attempt in range(ATTEMPTS):
            table = self._tables.open(BARS)
            old = table.files(month)
            if set(old.paths) != self._files.get(month, set()):
                self._read_again(month)
                self._files[month] = set(old.paths)
            try:
                return self._attempt(table, old, month)
            except Conflict:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def _read_again(self, month: date) -> None:
        start = datetime.combine(month, time(), UTC)
        end = (start + timedelta(days=31)).replace(day=1)
        self._disk.connection.execute(
            f"DELETE FROM {_FRESH} WHERE date_trunc('month', day) = DATE '{month}'"  # noqa: S608  (our names)
        )
        for each in self._ranges:
            part = each._replace(start=max(each.start, start), end=min(each.end, end))
            if part.start < part.end:
                self._add(part)

    def _attempt(self, table: OpenTable, old: DataFiles, month: date) -> bool:
        self._disk.make(_STORED)
        for path in old.paths:
            for batch in table.batches(path):
                rows = pa.Table.from_batches([batch]).select(BARS.names).cast(_SCHEMA)
                self._disk.insert(_STORED, rows.append_column(_RANKED.field(_RANK), _ranks(rows["provenance"])))
        before = self._disk.checksum_of(_STORED)
        written: list[str] = []
        merged = _Merged(self._disk, table)
        try:
            write(table, merged.rows(month), month, written)
            self._verify(table, written, merged.kept, month)
            is_changed = merged.kept != before
            if is_changed:
                table.replace(old, written)
            else:
                table.delete(written)
        except (Conflict, CountsDiffer):
            table.delete(written)
            raise
        return is_changed

    def _verify(self, table: OpenTable, written: list[str], kept: Checksum, month: date) -> None:
        found = Checksum()
        for path in written:
            for batch in table.batches(path):
                found = found.plus(self._disk.checksum(batch))
        if found != kept:
            raise CountsDiffer(f"bars of {month:%Y-%m}: {kept.rows} were written, {found.rows} read back, or differ")

    def _add(self, range_: Range) -> None:
        waiting: list[dict[str, Any]] = []
        for row in self._history.bars(range_.symbol, range_.resolution, range_.start, range_.end):
            waiting.append({**_columns(row), _RANK: rank_of(row)})
            if len(waiting) == _BARS_AT_ONCE:
                self._insert(waiting)
                waiting = []
        self._insert(waiting)

    def _insert(self, rows: list[dict[str, Any]]) -> None:
        if rows:
            self._disk.insert(_FRESH, pa.Table.from_pylist(rows, schema=_RANKED))


def bars_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows of the table of bars with the columns of `compacted_bars`."""
    return pa.Table.from_pylist([_columns(row) for row in rows], schema=_SCHEMA)


def _ranks(provenances: pa.ChunkedArray) -> pa.ChunkedArray:
    """See `bars.provenance.rank_of`."""
    return pc.index_in(provenances, value_set=pa.array(BEST_FIRST))


class _Merged:
    """The rows of a month as they are written, and their checksum."""

    def __init__(self, disk: Disk, table: OpenTable) -> None:
        self._disk, self._schema = disk, table.schema
        self.kept = Checksum()

    def rows(self, month: date) -> Iterator[pa.RecordBatch]:
        listed = ", ".join(BARS.names)
        batches = self._disk.batches(
            f"SELECT {listed} FROM (SELECT *, 0 AS age FROM {_FRESH} WHERE date_trunc('month', day) = DATE '{month}' "  # noqa: S608  (our names)
            f"UNION ALL SELECT *, 1 AS age FROM {_STORED}) ORDER BY {', '.join(BARS.key)}, {_RANK}, age"
        )
        for part in once(batches, BARS.key):
            self.kept = self.kept.plus(self._disk.checksum(part.kept))
            # None, if a batch has only copies of the last bar of the one before it.
            yield from pa.Table.from_batches([part.kept]).cast(self._schema).combine_chunks().to_batches()


def _columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a bar, from its attributes."""
    start = start_of(row["key"]).replace(tzinfo=None)
    columns: dict[str, Any] = {}
    for column in BARS.columns:
        value = row.get(column.name)
        match column.type:
            case "double":
                columns[column.name] = None if value is None else float(value)
            case "bigint":
                columns[column.name] = None if value is None else int(value)
            case _:
                columns[column.name] = value
    columns |= {
        "resolution": resolution_of(row["key"]),
        "start": start,
        "day": start.date(),
        "provenance": provenance_of(row),
    }
    return columns
