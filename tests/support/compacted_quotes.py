"""Quotes for an archive of two days, and what happens to the archive after it was compacted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from compaction.directory import DirectoryArchive
from compaction.iceberg import Tables
from compaction.summary import Summary
from compaction.upkeep import Upkeep
from quotes import Action, Heartbeat, Line, Quote
from tests.fakes.compacted_archive import NOW, CompactedArchive
from tests.fakes.stopped_calls import Killed

MONDAY = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def quote(symbol: str = "AAPL", at: datetime = MONDAY, price: str = "100", revision: int = 0) -> Quote:
    return Quote(
        symbol=symbol, event_time=at, revision=revision, price=Decimal(price), source="test", ingest_time=at + SECOND
    )


def identities(quotes: Sequence[Quote]) -> list[tuple[object, ...]]:
    return sorted((each.symbol, each.event_time.replace(tzinfo=None), each.revision) for each in quotes)


def filled(archive: CompactedArchive) -> list[Quote]:
    """Quotes of two days, which overlap midnight and arrived twice, with other lines between them."""
    first = [quote(symbol, MONDAY + second * SECOND) for second in range(3) for symbol in ("MSFT", "AAPL")]
    second = [quote(at=MIDNIGHT - SECOND), quote(at=MIDNIGHT), quote(at=MIDNIGHT, revision=1)]
    split = Action(
        symbol="AAPL", action="split", event_time=MONDAY, source="test", ingest_time=MONDAY, numerator=2, denominator=1
    )
    others: list[Line] = [Heartbeat(lane="lane-01-of-04", clock=MONDAY), split]
    archive.arrive([*first, *others], MONDAY)
    archive.arrive(first[2:], MONDAY)
    archive.arrive(second, MIDNIGHT - SECOND)
    archive.arrive(second, MIDNIGHT + SECOND)
    return [*first, *second]


class Dying(DirectoryArchive):
    """An archive whose program is killed before its n-th change: a deletion of an object, or a write of one."""

    def __init__(self, directory: Path, changes: int) -> None:
        super().__init__(directory)
        self.left = changes

    def put(self, key: str, body: bytes, *, replaces: str | None) -> None:
        """See `ports.Archive`."""
        self._change()
        super().put(key, body, replaces=replaces)

    def delete(self, keys: Iterable[str]) -> None:
        """See `ports.Archive`."""
        for key in keys:
            self._change()
            super().delete([key])

    def _change(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1


def expire(archive: DirectoryArchive, tables: Tables, days: int = 36) -> int:
    """Expire raw objects long after they were compacted. Returns how many were deleted."""
    summary = Summary(compacted_to=date(2026, 11, 28))
    Upkeep(archive, tables, NOW + timedelta(days=40), summary).run(7, days)
    return summary.raw_objects_deleted
