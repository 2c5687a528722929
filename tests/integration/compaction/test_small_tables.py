"""Commits to tables of few changes: like a dictionary by key, and only partitions that change are touched."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyiceberg.table
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import TableUpdate, update_table_metadata

from analytics.compacted_tables import ACTIONS, LEDGER, QUOTES, SESSIONS, CompactedTable
from compaction import actions, small_tables
from compaction.arrivals import Place
from compaction.catalogs import NAMESPACE
from compaction.iceberg import MANIFESTS
from compaction.parquet_files import write
from compaction.ports import Backfilled
from compaction.reading import ArrivedAction
from quotes import Action
from tests.fakes.compacted_archive import CompactedArchive

FIRST = date(2026, 9, 20)
EXDATE = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)

Rows = list[tuple[str, int, int]]
"""The symbol, the day and the quiet minutes of sessions."""


def session(symbol: str, number: int, quiet: int) -> dict[str, Any]:
    day = FIRST + timedelta(days=number)
    opens = datetime(day.year, day.month, day.day, 14, 30)  # noqa: DTZ001  (as in the table)
    closes = opens + timedelta(hours=6)
    row = {"symbol": symbol, "calendar": "XNYS", "timezone": "America/New_York", "day": day, "opens": opens}
    return row | {"closes": closes, "expected": 390, "without_trades": quiet}


def latest_wins(_new: dict[str, Any], _old: dict[str, Any]) -> bool:
    return True


ROWS = st.lists(st.tuples(st.sampled_from(["AAPL", "MSFT"]), st.integers(0, 70), st.integers(0, 2)), max_size=8)


@settings(deadline=None, max_examples=15)
@given(st.lists(ROWS, min_size=1, max_size=3))
def test_a_table_is_the_last_row_of_each_key_and_only_changed_months_get_files(commits: list[Rows]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        archive = CompactedArchive(Path(directory))
        expected: dict[tuple[str, int], int] = {}
        for rows in commits:
            before = files_by_month(archive)
            last = {(symbol, number): quiet for symbol, number, quiet in rows}
            changed = {key for key, quiet in last.items() if expected.get(key) != quiet}
            expected |= last
            sessions = [session(*row) for row in rows]
            count = small_tables.commit(archive.tables(), SESSIONS, partial(list, sessions), latest_wins)
            assert count == len(changed)
            months = {(FIRST + timedelta(days=number)).replace(day=1) for _, number in changed}
            after = files_by_month(archive)
            assert {month for month in after if after[month] != before.get(month)} == months
        stored = archive.rows(SESSIONS)
        found = {(row["symbol"], (row["day"] - FIRST).days): row["without_trades"] for row in stored}
        assert (found, len(stored)) == (expected, len(expected))
        table = archive.tables().open(SESSIONS)
        for path in table.files().paths:
            keys = [(row["symbol"], row["opens"]) for batch in table.batches(path) for row in batch.to_pylist()]
            assert keys == sorted(keys)


def files_by_month(archive: CompactedArchive) -> dict[date | None, list[str]]:
    table = archive.tables().open(SESSIONS)
    found: dict[date | None, list[str]] = {}
    for entry in table.files().entries:
        found.setdefault(table.partition_of(entry), []).append(entry.file_path)
    assert all(sorted(paths) == sorted(table.files(month).paths) for month, paths in found.items())
    return found


class TestActionsOfBackfills:
    """A backfill fetches the same splits and dividends every night."""

    @pytest.fixture
    def archive(self, tmp_path: Path) -> CompactedArchive:
        return CompactedArchive(tmp_path)

    def put(self, archive: CompactedArchive, *amounts: str, nights: Sequence[int]) -> int:
        chunks = [chunk(amount, night) for amount, night in zip(amounts, nights, strict=True)]
        return actions.commit_fetched(archive.tables(), chunks)

    def test_the_same_ones_are_neither_counted_nor_written(self, archive: CompactedArchive) -> None:
        assert self.put(archive, "0.25", nights=[1]) == 1
        files = archive.tables().open(ACTIONS).files().paths
        assert self.put(archive, "0.25", nights=[2]) == 0
        assert archive.tables().open(ACTIONS).files().paths == files

    def test_a_corrected_one_replaces_it_and_the_last_one_counts(self, archive: CompactedArchive) -> None:
        self.put(archive, "0.25", nights=[1])
        assert self.put(archive, "0.5", nights=[2]) == 1
        assert [row["amount"] for row in archive.rows(ACTIONS)] == [Decimal("0.5")]
        assert self.put(archive, "0.5", "0.75", nights=[4, 3]) == 0  # the last one is as stored

    def test_a_line_that_arrived_later_with_the_same_values_is_written_and_not_counted(
        self, archive: CompactedArchive
    ) -> None:
        def arrive(hour: int) -> int:
            place = Place("2026-11-21", hour, 1, "o")
            return actions.commit(archive.tables(), [ArrivedAction(place, chunk("1", 1).actions[0])])

        assert (arrive(1), arrive(2), arrive(1)) == (1, 0, 0)
        assert [row["hour"] for row in archive.rows(ACTIONS)] == [2]


def chunk(amount: str, night: int) -> Backfilled:
    at = EXDATE + timedelta(days=night)
    dividend = Action(
        symbol="AAPL",
        action="dividend",
        event_time=EXDATE,
        source="yahoo",
        ingest_time=at,
        amount=Decimal(amount),
        currency="USD",
    )
    return Backfilled(
        key=f"backfill/1d/{night}",
        symbol="AAPL",
        resolution="1d",
        start=EXDATE,
        end=at,
        fetched_at=at,
        actions=(dividend,),
    )


class TestManifests:
    """Their number does not grow with the number of commits."""

    def manifests(self, archive: CompactedArchive, declared: CompactedTable) -> int:
        catalog = SqlCatalog(NAMESPACE, uri=f"sqlite:///{archive.directory}/compacted/catalog.db")
        table = catalog.load_table((NAMESPACE, declared.name))
        snapshot = table.current_snapshot()
        assert snapshot is not None
        return len(snapshot.manifests(table.io))

    def test_of_a_commit_for_each_day_and_of_days_that_are_written_again(self, tmp_path: Path) -> None:
        archive = CompactedArchive(tmp_path)
        days = [FIRST + timedelta(days=number) for number in range(MANIFESTS + 5)]
        for revision, day in enumerate([*days, *days[:MANIFESTS]]):
            table = archive.tables().open(QUOTES)
            old = table.files(day)
            assert len(old.entries) == (revision >= len(days))
            row = {"symbol": "AAPL", "event_time": datetime(day.year, day.month, day.day), "day": day}  # noqa: DTZ001
            written: list[str] = []
            write(
                table, [pa.RecordBatch.from_pylist([row | {"revision": revision}], schema=table.schema)], day, written
            )
            table.replace(old, written)
            assert self.manifests(archive, QUOTES) <= MANIFESTS
        found = {row["day"]: row["revision"] for row in archive.rows(QUOTES)}
        assert found == {day: number + (number < MANIFESTS) * len(days) for number, day in enumerate(days)}

    def test_of_a_table_that_is_written_again_each_time(self, tmp_path: Path) -> None:
        archive = CompactedArchive(tmp_path)
        for number in range(2 * MANIFESTS):
            row = {"dt": f"2026-11-{number % 9 + 1:02}", "objects": number}
            small_tables.commit(archive.tables(), LEDGER, partial(list, [row]), latest_wins)
        assert self.manifests(archive, LEDGER) <= MANIFESTS
        assert [row["objects"] for row in archive.rows(LEDGER)] == [36, 37, 38, 39, 31, 32, 33, 34, 35]


def test_a_commit_copies_the_metadata_only_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = CompactedArchive(tmp_path)
    computed: list[tuple[object, ...]] = []

    def counted(metadata: TableMetadata, updates: tuple[TableUpdate, ...]) -> TableMetadata:
        computed.append(updates)
        return update_table_metadata(metadata, updates)

    monkeypatch.setattr(pyiceberg.table, "update_table_metadata", counted)
    for number in range(2):  # an append, and an overwrite
        small_tables.commit(archive.tables(), LEDGER, partial(list, [{"dt": "2026-11-23", "objects": number}]))
        assert [len(updates) for updates in computed] == sorted({len(updates) for updates in computed})
        computed.clear()
    assert [row["objects"] for row in archive.rows(LEDGER)] == [1]
