"""Commits to a table whose partition fits into memory: the rows of a key replace those that it had."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

import pyarrow as pa

from analytics.compacted_tables import CompactedTable
from compaction.errors import Conflict
from compaction.iceberg import Tables
from compaction.parquet_files import write

Row = dict[str, Any]
Key = tuple[Any, ...]
ATTEMPTS = 5
"""How often a commit is computed again after another run's commit."""


def commit(
    tables: Tables,
    declared: CompactedTable,
    changed: Callable[[], Iterable[Row]],
    wins: Callable[[Row, Row], bool],
    partition: date | None = None,
) -> int:
    """Put rows into the table, or into a partition of it. Returns how many rows differ from before.

    `declared.key` is the key. `changed` reads the rows. It is called when the table has been opened, and again after
    another run has changed the table, so that what it reads is never older than what the table has. `wins(new, old)`
    says whether a row replaces the one with its key. Raises `Conflict`.
    """
    for attempt in range(ATTEMPTS):
        table = tables.open(declared)
        old = table.files(partition)
        rows = list(changed())
        merged = {
            _key(declared, row): row for path in old.paths for batch in table.batches(path) for row in batch.to_pylist()
        }
        count = 0
        for row in rows:
            stored = merged.get(_key(declared, row))
            whole = {name: row.get(name) for name in declared.names}
            if stored is None or (stored != whole and wins(whole, stored)):
                merged[_key(declared, row)] = whole
                count += 1
        if not count:
            return 0
        batch = pa.RecordBatch.from_pylist([merged[key] for key in sorted(merged)], schema=table.schema)
        written: list[str] = []
        write(table, [batch], partition, written)
        try:
            table.replace(old, written)
        except Conflict:
            table.delete(written)
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return count
    raise AssertionError("unreachable")


def _key(declared: CompactedTable, row: Mapping[str, Any]) -> Key:
    return tuple(row[name] for name in declared.key)
