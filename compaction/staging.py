"""Quotes on disk, between the archive and the tables: DuckDB sorts them in bounded memory.

The rows of an event day are in a table of their own, which is dropped when the day is committed. Every row has the
number of its object. Checksums do not depend on the order of rows. They show that sorting and writing lose nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from analytics.compacted_tables import QUOTE_VALUES
from compaction.arrivals import Place
from compaction.disk import Checksum, Disk
from compaction.line_columns import ORIGIN, SCHEMA

VALUES = tuple(column.name for column in QUOTE_VALUES)
IDENTITY = ("symbol", "event_time", "revision")
_LISTED = ", ".join(VALUES)
_ARRIVED = f"{ORIGIN} IN (SELECT {ORIGIN} FROM arrived)"  # noqa: S608  (our names)
_QUOTES_OF_A_PACKET = 83
"""The quotes of 25 KB, the unit in which Kinesis bills packets: see the saved query `cost`."""


class Staging:
    """Quotes by event day. Use it in a `with` block, see `Disk`. `scratch` is where its files go while it is open."""

    def __init__(self, scratch: Path | None = None) -> None:
        self._disk = Disk(scratch, SCHEMA, VALUES)
        self._database = self._disk.connection
        self._places: list[Place] = []
        self._numbers: dict[Place, int] = {}
        self._sums: dict[date, Checksum] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disk.__exit__(kind, error, trace)

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
                self._disk.make(_table(day))
            self._disk.insert(_table(day), part)
            self._sums[day] = self._sums.get(day, Checksum()).plus(self.checksum(part))

    def forget_arrival(self, dt: str) -> None:
        """Remove the quotes that arrived on a day, because one of its objects is damaged."""
        numbers = (number for number, place in enumerate(self._places) if place.dt == dt)
        with self._arrived(numbers):
            for day in self.days():
                self._database.execute(f"DELETE FROM {_table(day)} WHERE {_ARRIVED}")  # noqa: S608  (our names)
                self._sums[day] = self._disk.checksum_of(_table(day))

    def days(self) -> list[date]:
        """The event days that have quotes here, in order."""
        return sorted(self._sums)

    def arrivals(self, day: date) -> set[str]:
        """The arrival days of the quotes of an event day."""
        found = self._database.execute(f"SELECT DISTINCT {ORIGIN} FROM {_table(day)}").fetchall()  # noqa: S608  (our names)
        return {self._places[number].dt for (number,) in found}

    def packets(self, numbers: Collection[int], lanes: int | None) -> int:
        """The most packets that the quotes of some objects can have been: see the saved query `cost`."""
        if not self._sums or not numbers:
            return 0
        rows = " UNION ALL ".join(f"SELECT ingest_time, {ORIGIN} FROM {_table(day)}" for day in self.days())  # noqa: S608  (our names)
        query = (
            f"SELECT coalesce(sum(least(quotes, $lanes + quotes // {_QUOTES_OF_A_PACKET})), 0) FROM (SELECT count(*) AS quotes "  # noqa: S608, E501
            f"FROM ({rows}) WHERE {_ARRIVED} GROUP BY ingest_time)"
        )
        with self._arrived(numbers):
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
        self._disk.make("existing")
        for batch in stored:
            self._disk.insert("existing", self._numbered(batch))
        order = sorted(range(len(self._places)), key=self._places.__getitem__)
        positions = pa.table({ORIGIN: pa.array(order, pa.int64()), "position": pa.array(range(len(order)), pa.int64())})
        yield from self._disk.batches(
            f"SELECT {_LISTED}, {ORIGIN} FROM (SELECT * FROM {_table(day)} UNION ALL SELECT * FROM existing) "  # noqa: S608  (our names)
            f"JOIN positions USING ({ORIGIN}) "
            "ORDER BY symbol, event_time, revision, position DESC, ingest_time DESC",
            positions=positions,
        )

    def existing(self) -> Checksum:
        """The rows of the partition that `sorted` read last."""
        return self._disk.checksum_of("existing")

    def checksum(self, rows: pa.Table | pa.RecordBatch) -> Checksum:
        """The checksum of rows with the columns of a quote."""
        return self._disk.checksum(rows)

    def _numbered(self, stored: pa.RecordBatch) -> pa.Table:
        """Rows of the table `compacted_quotes` with the numbers of their objects."""
        places = zip(*(stored[name].to_pylist() for name in ("dt", "hour", "object")), strict=True)
        numbers = [self.number_of(Place(dt, hour, len(name), name)) for dt, hour, name in places]
        return pa.table([*(stored[name] for name in VALUES), pa.array(numbers, pa.int64())], schema=SCHEMA)

    @contextmanager
    def _arrived(self, numbers: Iterable[int]) -> Iterator[None]:
        """Let `_ARRIVED` mean some objects."""
        self._database.register("arrived", pa.table({ORIGIN: pa.array(list(numbers), pa.int64())}))
        yield
        self._database.unregister("arrived")

    def _one(self, query: str, values: dict[str, Any]) -> Any:
        found = self._database.execute(query, values).fetchone()
        assert found is not None  # noqa: S101  (an aggregate has one row)
        return found[0]


def _table(day: date) -> str:
    return f'"quotes of {day.isoformat()}"'
