"""Commits bars by month: those of the table of bars replace those that were compacted before."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from analytics.compacted_tables import BARS
from bars.keys import resolution_of, start_of
from bars.provenance import provenance_of
from compaction.disk import ARROW, Checksum, Disk, once
from compaction.errors import Conflict, CountsDiffer
from compaction.iceberg import OpenTable, Tables
from compaction.parquet_files import write
from compaction.small_tables import ATTEMPTS

_SCHEMA = pa.schema([(column.name, ARROW[column.type]) for column in BARS.columns])
_BARS_AT_ONCE = 10_000
_FRESH, _STORED = "fresh", "stored"


class BarMonths:
    """Bars by month. Use it in a `with` block."""

    def __init__(self, tables: Tables, scratch: Path | None = None) -> None:
        self._tables = tables
        self._directory = tempfile.TemporaryDirectory(prefix="stockstream-compaction-", dir=scratch)
        self._disk = Disk(self._directory.name, _SCHEMA, BARS.names)
        self._disk.make(_FRESH)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disk.connection.close()
        self._directory.cleanup()

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows of the table of bars. Rows of another kind are left out. A bar may come more than once."""
        waiting: list[dict[str, Any]] = []
        for row in rows:
            waiting.append(_columns(row))
            if len(waiting) == _BARS_AT_ONCE:
                self._insert(waiting)
                waiting = []
        self._insert(waiting)

    def commit(self) -> int:
        """Put the bars into the table. Returns how many months differ from before. Raises `Conflict`."""
        months = self._disk.connection.execute(
            f"SELECT DISTINCT CAST(date_trunc('month', day) AS date) FROM {_FRESH} ORDER BY 1"  # noqa: S608  (our names)
        ).fetchall()
        return sum(self._commit(month) for (month,) in months)

    def _commit(self, month: date) -> bool:
        for _ in range(ATTEMPTS - 1):
            try:
                return self._attempt(month)
            except Conflict:
                continue
        return self._attempt(month)

    def _attempt(self, month: date) -> bool:
        table = self._tables.open(BARS)
        old = table.files(month)
        self._disk.make(_STORED)
        for path in old.paths:
            for batch in table.batches(path):
                self._disk.insert(_STORED, pa.Table.from_batches([batch]).select(BARS.names).cast(_SCHEMA))
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

    def _insert(self, rows: list[dict[str, Any]]) -> None:
        if rows:
            self._disk.insert(_FRESH, pa.Table.from_pylist(rows, schema=_SCHEMA))


def bars_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows of the table of bars with the columns of `compacted_bars`."""
    return pa.Table.from_pylist([_columns(row) for row in rows], schema=_SCHEMA)


class _Merged:
    """The rows of a month as they are written, and their checksum."""

    def __init__(self, disk: Disk, table: OpenTable) -> None:
        self._disk, self._schema = disk, table.schema
        self.kept = Checksum()

    def rows(self, month: date) -> Iterator[pa.RecordBatch]:
        listed = ", ".join(BARS.names)
        batches = self._disk.batches(
            f"SELECT {listed} FROM (SELECT *, 0 AS age FROM {_FRESH} WHERE date_trunc('month', day) = DATE '{month}' "  # noqa: S608  (our names)
            f"UNION ALL SELECT *, 1 AS age FROM {_STORED}) ORDER BY {', '.join(BARS.key)}, age"
        )
        for part in once(batches, BARS.key):
            self.kept = self.kept.plus(self._disk.checksum(part.kept))
            yield pa.Table.from_batches([part.kept]).cast(self._schema).combine_chunks().to_batches()[0]


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
