"""DuckDB on a disk: it sorts what does not fit into memory, and computes checksums of rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from analytics.compacted_tables import PRICE
from compaction.errors import NoRoom

MEMORY = "256MB"
"""How much memory DuckDB takes. The rest goes to the disk."""
BATCH_ROWS = 50_000
ARROW = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "int": pa.int32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    PRICE: pa.decimal128(38, 26),
}
"""The types of Arrow by those of `analytics.compacted_tables`."""


PREFIX = "stockstream-compaction-"
"""The first part of the name of the directory."""
_ADVICE = "Set TMPDIR to a directory with room for the largest day, and run this again"
_DISK_ERRORS = (duckdb.IOException, duckdb.TransactionException, duckdb.OutOfMemoryException, duckdb.FatalException)


class Checksum(NamedTuple):
    """The number of some rows and the sum of their hashes, which does not depend on their order."""

    rows: int = 0
    total: int = 0

    def plus(self, other: Checksum) -> Checksum:
        """Of the rows of both."""
        return Checksum(self.rows + other.rows, self.total + other.total)


class Disk:
    """A database in a directory of its own, whose tables have the same columns. Use it in a `with` block.

    The directory goes below `scratch`, and is removed at the end. An error of the disk in the block becomes `NoRoom`.
    """

    def __init__(self, scratch: Path | None, schema: pa.Schema, hashed: Sequence[str]) -> None:
        """`hashed` are the columns that checksums are of. Raises `NoRoom`."""
        try:
            self._directory = tempfile.TemporaryDirectory(prefix=PREFIX, dir=scratch)
        except OSError as error:
            raise NoRoom(f"there is no temporary directory: {error}. {_ADVICE}") from error
        directory = self._directory.name
        self.schema = schema
        self._sum = f"SELECT count(*), coalesce(sum(hash({', '.join(hashed)})), 0) FROM "  # noqa: S608  (our names)
        try:
            self.connection = duckdb.connect(str(Path(directory, "rows.duckdb")))
        except duckdb.IOException as error:
            self._directory.cleanup()
            raise self._no_room(error) from error
        for setting in (
            f"SET memory_limit = '{MEMORY}'",
            f"SET temp_directory = '{directory}/spilled'",
            "SET threads = 2",
            "SET preserve_insertion_order = false",
            "SET TimeZone = 'UTC'",
        ):
            self.connection.execute(setting)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(duckdb.Error):  # it may write once more
            self.connection.close()
        self._directory.cleanup()
        if isinstance(error, _DISK_ERRORS):
            raise self._no_room(error) from error

    def _no_room(self, error: BaseException) -> NoRoom:
        return NoRoom(f"rows cannot be sorted in {Path(self._directory.name).parent}: {error}. {_ADVICE}")

    def make(self, table: str) -> None:
        """Make an empty table, in place of one with this name."""
        self.connection.register("none", self.schema.empty_table())
        self.connection.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM none")  # noqa: S608  (our names)
        self.connection.unregister("none")

    def insert(self, table: str, rows: pa.Table) -> None:
        """Add rows to a table."""
        self.connection.register("rows", rows)
        self.connection.execute(f"INSERT INTO {table} SELECT * FROM rows")  # noqa: S608  (our names)
        self.connection.unregister("rows")

    def batches(self, query: str, **tables: pa.Table) -> Iterator[pa.RecordBatch]:
        """The rows of a query over the tables here and the given ones. They are not in memory together."""
        cursor = self.connection.cursor()
        for name, table in tables.items():
            cursor.register(name, table)
        yield from cursor.execute(query).to_arrow_reader(BATCH_ROWS)
        cursor.close()

    def checksum(self, rows: pa.Table | pa.RecordBatch) -> Checksum:
        """The checksum of rows."""
        cursor = self.connection.cursor()
        cursor.register("rows", rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows]))
        found = cursor.execute(self._sum + "rows").fetchone()
        cursor.close()
        return _checksum(found)

    def checksum_of(self, table: str) -> Checksum:
        """The checksum of a table."""
        return _checksum(self.connection.execute(self._sum + table).fetchone())


def _checksum(found: tuple[Any, ...] | None) -> Checksum:
    assert found is not None  # noqa: S101  (an aggregate has one row)
    return Checksum(int(found[0]), int(found[1]))


class Once(NamedTuple):
    """Some sorted rows, split into the first of each identity and the copies of it."""

    kept: pa.RecordBatch
    copies: pa.RecordBatch


def once(batches: Iterable[pa.RecordBatch], identity: Sequence[str]) -> Iterator[Once]:
    """Split sorted rows: the first row of each identity is kept."""
    last: tuple[Any, ...] | None = None
    for batch in batches:
        if not batch.num_rows:
            continue
        differs = pa.array([last != tuple(batch[name][0].as_py() for name in identity)])
        if batch.num_rows > 1:
            changes = None
            for name in identity:
                changed = pc.not_equal(batch[name].slice(1), batch[name].slice(0, batch.num_rows - 1))
                changes = changed if changes is None else pc.or_(changes, changed)
            differs = pa.concat_arrays([differs, changes])
        last = tuple(batch[name][batch.num_rows - 1].as_py() for name in identity)
        yield Once(batch.filter(differs), batch.filter(pc.invert(differs)))
