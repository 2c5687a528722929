"""Quotes on disk, between the archive and the tables: DuckDB sorts them in bounded memory.

The rows of an event day are in a table of their own, which is dropped when the day is committed. Every row has the
number of its object. Checksums do not depend on the order of rows. They show that sorting and writing lose nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from compaction.arrivals import Place
from compaction.layout import QUOTE_VALUES
from compaction.line_columns import ORIGIN, SCHEMA

MEMORY = "400MB"
"""How much memory DuckDB takes. The rest of a day goes to the disk."""
BATCH_ROWS = 50_000
VALUES = tuple(column.name for column in QUOTE_VALUES)
IDENTITY = ("symbol", "event_time", "revision")
_LISTED = ", ".join(VALUES)
_QUOTES_OF_A_PACKET = 83
"""The quotes of 25 KB, the unit in which Kinesis bills packets: see the saved query `cost`."""


class Checksum(NamedTuple):
    """The number of some rows and the sum of their hashes."""

    rows: int = 0
    total: int = 0

    def plus(self, other: Checksum) -> Checksum:
        """Of the rows of both."""
        return Checksum(self.rows + other.rows, self.total + other.total)


class Staging:
    """Quotes by event day. Use it in a `with` block. `scratch` is where its files go while it is open."""

    def __init__(self, scratch: Path | None = None) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="stockstream-compaction-", dir=scratch)
        self._database = duckdb.connect(str(Path(self._directory.name, "staging.duckdb")))
        for setting in (
            f"SET memory_limit = '{MEMORY}'",
            f"SET temp_directory = '{self._directory.name}/spilled'",
            "SET threads = 2",
            "SET preserve_insertion_order = false",
            "SET TimeZone = 'UTC'",
        ):
            self._database.execute(setting)
        self._places: list[Place] = []
        self._numbers: dict[Place, int] = {}
        self._sums: dict[date, Checksum] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()
        self._directory.cleanup()

    def number_of(self, place: Place) -> int:
        """The number of an object. A new object gets the next one."""
        number = self._numbers.setdefault(place, len(self._places))
        if number == len(self._places):
            self._places.append(place)
        return number

    def place(self, number: int) -> Place:
        """The place of the object with a number."""
        return self._places[number]

    def add(self, quotes: pa.Table) -> None:
        """Add quotes, with the columns of `line_columns.SCHEMA`."""
        days = pc.cast(quotes["event_time"], pa.date32())
        for day in pc.unique(days).to_pylist():
            part = quotes.filter(pc.equal(days, day))
            if day not in self._sums:
                self._make(_table(day))
            self._insert(_table(day), part)
            self._sums[day] = self._sums.get(day, Checksum()).plus(self.checksum(part))

    def forget_arrival(self, dt: str) -> None:
        """Remove the quotes that arrived on a day, because one of its objects is damaged."""
        with self._numbers_of(dt):
            for day in self.days():
                self._database.execute(f"DELETE FROM {_table(day)} WHERE {_ARRIVED}")  # noqa: S608
                self._sums[day] = self._sum_of(f"SELECT * FROM {_table(day)}")  # noqa: S608

    def days(self) -> list[date]:
        """The event days that have quotes here, in order."""
        return sorted(self._sums)

    def arrivals(self, day: date) -> set[str]:
        """The arrival days of the quotes of an event day."""
        found = self._database.execute(f"SELECT DISTINCT {ORIGIN} FROM {_table(day)}").fetchall()  # noqa: S608
        return {self._places[number].dt for (number,) in found}

    def packets(self, dt: str, lanes: int | None) -> int:
        """The most packets that the quotes of an arrival day can have been: see the saved query `cost`."""
        if not self._sums:
            return 0
        rows = " UNION ALL ".join(f"SELECT ingest_time, {ORIGIN} FROM {_table(day)}" for day in self.days())  # noqa: S608
        query = (
            f"SELECT coalesce(sum(least(quotes, $lanes + quotes // {_QUOTES_OF_A_PACKET})), 0) FROM (SELECT count(*) AS quotes "  # noqa: S608, E501
            f"FROM ({rows}) WHERE {_ARRIVED} GROUP BY ingest_time)"
        )
        with self._numbers_of(dt):
            return int(self._one(query, {"lanes": lanes or 1}))

    def drop(self, day: date) -> None:
        """Forget the quotes of an event day."""
        self._database.execute(f"DROP TABLE {_table(day)}")
        del self._sums[day]

    def staged(self, day: date) -> Checksum:
        """The quotes of an event day, copies included."""
        return self._sums[day]

    def sorted(self, day: date, stored: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The quotes of an event day and those of its `stored` partition, by identity. The last arrival comes first.

        Every row has the number of its object. Call `existing` afterwards for the checksum of the stored ones.
        """
        self._make("existing")
        for batch in stored:
            self._insert("existing", self._numbered(batch))
        order = sorted(range(len(self._places)), key=self._places.__getitem__)
        positions = pa.table({ORIGIN: pa.array(order, pa.int64()), "position": pa.array(range(len(order)), pa.int64())})
        cursor = self._database.cursor()
        cursor.register("positions", positions)
        reader = cursor.execute(
            f"SELECT {_LISTED}, {ORIGIN} FROM (SELECT * FROM {_table(day)} UNION ALL SELECT * FROM existing) "  # noqa: S608
            f"JOIN positions USING ({ORIGIN}) "
            "ORDER BY symbol, event_time, revision, position DESC, ingest_time DESC"
        ).to_arrow_reader(BATCH_ROWS)
        yield from reader
        cursor.close()

    def existing(self) -> Checksum:
        """The rows of the partition that `sorted` read last."""
        return self._sum_of("SELECT * FROM existing")

    def checksum(self, rows: pa.Table | pa.RecordBatch) -> Checksum:
        """The checksum of rows with the columns of a quote."""
        cursor = self._database.cursor()
        cursor.register("rows", rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows]))
        found = cursor.execute(_SUM.format("SELECT * FROM rows")).fetchone()
        cursor.close()
        return _checksum(found)

    def _numbered(self, stored: pa.RecordBatch) -> pa.Table:
        """Rows of the table `compacted_quotes` with the numbers of their objects."""
        places = zip(*(stored[name].to_pylist() for name in ("dt", "hour", "object")), strict=True)
        numbers = [self.number_of(Place(dt, hour, len(name), name)) for dt, hour, name in places]
        return pa.table([*(stored[name] for name in VALUES), pa.array(numbers, pa.int64())], schema=SCHEMA)

    @contextmanager
    def _numbers_of(self, dt: str) -> Iterator[None]:
        """Let `_ARRIVED` mean the objects of an arrival day."""
        numbers = [number for number, place in enumerate(self._places) if place.dt == dt]
        self._database.register("arrived", pa.table({ORIGIN: pa.array(numbers, pa.int64())}))
        yield
        self._database.unregister("arrived")

    def _make(self, table: str) -> None:
        self._database.register("none", SCHEMA.empty_table())
        self._database.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM none")  # noqa: S608
        self._database.unregister("none")

    def _insert(self, table: str, rows: pa.Table) -> None:
        self._database.register("rows", rows)
        self._database.execute(f"INSERT INTO {table} SELECT * FROM rows")  # noqa: S608
        self._database.unregister("rows")

    def _sum_of(self, select: str) -> Checksum:
        return _checksum(self._database.execute(_SUM.format(select)).fetchone())

    def _one(self, query: str, values: dict[str, Any]) -> Any:
        found = self._database.execute(query, values).fetchone()
        assert found is not None  # noqa: S101  (an aggregate has one row)
        return found[0]


_ARRIVED = f"{ORIGIN} IN (SELECT {ORIGIN} FROM arrived)"  # noqa: S608
_SUM = f"SELECT count(*), coalesce(sum(hash({_LISTED})), 0) FROM ({{}})"  # noqa: S608


def _checksum(found: tuple[Any, ...] | None) -> Checksum:
    assert found is not None  # noqa: S101  (an aggregate has one row)
    return Checksum(int(found[0]), int(found[1]))


def _table(day: date) -> str:
    return f'"quotes of {day.isoformat()}"'


class Once(NamedTuple):
    """Some sorted rows, split into the first of each identity and the copies of it."""

    kept: pa.RecordBatch
    copies: pa.RecordBatch


def once(batches: Iterable[pa.RecordBatch], identity: tuple[str, ...] = IDENTITY) -> Iterator[Once]:
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
