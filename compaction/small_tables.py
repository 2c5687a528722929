"""Commits to a table of few changes: the rows of a key replace those that it had.

Only the changed rows are in memory. Stored rows of the partitions that change pass through, some at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from heapq import merge
from itertools import islice
from typing import Any

import pyarrow as pa

from analytics.compacted_tables import CompactedTable
from compaction.errors import Conflict
from compaction.iceberg import DataFiles, OpenTable, Tables
from compaction.parquet_files import write

Row = dict[str, Any]
Key = tuple[Any, ...]
ATTEMPTS = 5
"""How often a commit is computed again after another run's commit."""
_ROWS_AT_ONCE = 5_000


def _always(_new: Row, _old: Row) -> bool:
    return True


def commit(
    tables: Tables,
    declared: CompactedTable,
    changed: Callable[[], Iterable[Row]],
    wins: Callable[[Row, Row], bool] = _always,
    counted: Sequence[str] | None = None,
) -> int:
    """Put rows into the table, in one commit. Returns how many rows differ from before in the columns `counted`.

    By default, all columns count. `declared.key` is the key. `changed` reads the rows. It is called when the table has
    been opened, and again after another run has changed the table, so that what it reads is never older than what the
    table has. `wins(new, old)` says whether a row replaces the one with its key, and by default each does. It is asked
    for the stored row first, and then for each changed one in their order. Raises `Conflict`.
    """
    for attempt in range(ATTEMPTS):
        table = tables.open(declared)
        replaced = DataFiles(())
        written: list[str] = []
        count = 0
        for partition, rows in sorted(_by_partition(declared, changed()).items(), key=lambda each: str(each[0])):
            old = table.files(partition)
            different = _different(table, old, rows, wins)
            if different:
                write(table, _merged(table, old, {key: new for key, (new, _) in different.items()}), partition, written)
                replaced = DataFiles(replaced.entries + old.entries)
                count += sum(_is_counted(new, stored, counted or declared.names) for new, stored in different.values())
        if not written:
            return 0
        try:
            table.replace(replaced, written)
        except Conflict:
            table.delete(written)
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return count
    raise AssertionError("unreachable")


def _by_partition(declared: CompactedTable, rows: Iterable[Row]) -> dict[date | None, dict[Key, list[Row]]]:
    """Rows with all columns of the table, by partition and key, in their order."""
    found: dict[date | None, dict[Key, list[Row]]] = {}
    for row in rows:
        whole = {name: row.get(name) for name in declared.names}
        found.setdefault(declared.partition_of(whole), {}).setdefault(_key(declared, whole), []).append(whole)
    return found


def _different(
    table: OpenTable, old: DataFiles, changed: Mapping[Key, Sequence[Row]], wins: Callable[[Row, Row], bool]
) -> dict[Key, tuple[Row, Row | None]]:
    """The rows that replace stored ones, or are new, each with the stored one."""
    stored = {key: row for key, row in _stored(table, old) if key in changed}
    found: dict[Key, tuple[Row, Row | None]] = {}
    for key, rows in changed.items():
        before = last = stored.get(key)
        for row in rows:
            if last is None or (last != row and wins(row, last)):
                last = row
        if last is not None and last != before:
            found[key] = last, before
    return found


def _is_counted(new: Row, stored: Row | None, columns: Sequence[str]) -> bool:
    return stored is None or any(new[name] != stored[name] for name in columns)


def _merged(table: OpenTable, old: DataFiles, changed: Mapping[Key, Row]) -> Iterator[pa.RecordBatch]:
    """The stored rows with the changed ones in their places, sorted by key."""
    kept = (each for each in _stored(table, old) if each[0] not in changed)
    rows = (row for _, row in merge(kept, sorted(changed.items(), key=_first), key=_first))
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        yield pa.RecordBatch.from_pylist(some, schema=table.schema)


def _stored(table: OpenTable, files: DataFiles) -> Iterator[tuple[Key, Row]]:
    """The rows of a partition and their keys, sorted. One commit has written its files, which are named in order."""
    for path in sorted(files.paths, key=lambda path: path.rpartition("/")[2]):
        for batch in table.batches(path):
            for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
                for row in batch.slice(start, _ROWS_AT_ONCE).to_pylist():
                    yield _key(table.declared, row), row


def _first(pair: tuple[Key, Row]) -> Key:
    return pair[0]


def _key(declared: CompactedTable, row: Mapping[str, Any]) -> Key:
    return tuple(row[name] for name in declared.key)
