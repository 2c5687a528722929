"""Old snapshots, files without a commit and compacted raw objects are removed, and nothing else."""

from __future__ import annotations

import gzip
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from analytics.compacted_tables import LEDGER, QUOTES
from compaction.directory import DirectoryArchive
from compaction.errors import Damaged
from compaction.summary import Summary
from compaction.upkeep import Upkeep
from quotes import encode
from tests.fakes.compacted_archive import CompactedArchive
from tests.fakes.stopped_calls import Killed
from tests.support.compacted_quotes import MONDAY, Dying, expire, filled, identities, quote


def test_a_snapshot_stays_for_the_queries_that_began_before_it_was_replaced(archive: CompactedArchive) -> None:
    archive.arrive([quote()], MONDAY)
    archive.run()
    replaced = archive.tables().open(QUOTES).files().paths
    archive.arrive([quote("NVDA")], MONDAY)
    began = datetime.now(UTC)
    archive.run()
    for before, is_kept in ((began, True), (datetime.now(UTC), False)):
        archive.tables().open(QUOTES).expire_snapshots(before)
        assert (set(replaced) <= archive.tables().open(QUOTES).referenced()) == is_kept


def test_the_last_snapshot_stays_though_the_clock_of_an_earlier_run_was_ahead(
    archive: CompactedArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.arrive([quote()], MONDAY)
    with monkeypatch.context() as ahead:
        later = time.time() + timedelta(hours=1).total_seconds()
        ahead.setattr("pyiceberg.table.snapshots.time.time", lambda: later)
        archive.run()
    replaced = archive.tables().open(QUOTES).files().paths
    archive.arrive([quote("NVDA")], MONDAY)
    archive.run()
    stored = archive.rows()
    archive.tables().open(QUOTES).expire_snapshots(datetime.now(UTC) + timedelta(days=8))
    assert archive.rows() == stored
    assert not set(replaced) & archive.tables().open(QUOTES).referenced()


def test_old_snapshots_orphans_and_compacted_raw_objects_are_removed(archive: CompactedArchive) -> None:
    quotes = filled(archive)
    archive.run()
    archive.arrive([quote("NVDA")], MONDAY)
    archive.run()
    orphan = archive.directory / "compacted/compacted_quotes/data/orphan.parquet"
    orphan.write_bytes(b"of a run that was killed")
    stored = archive.rows()
    for days, files, objects in ((1, 0, 0), (8, 5, 0), (40, 0, 5)):
        summary = Summary(compacted_to=date(2026, 11, 28))
        tables = archive.tables()
        now = datetime.now(UTC) + timedelta(days=days)
        Upkeep(DirectoryArchive(archive.directory), tables, now, summary).run(7, 36 if objects else 0)
        assert (summary.files_deleted >= files, summary.raw_objects_deleted) == (True, objects)
        assert archive.rows() == stored
    assert not orphan.exists()
    assert archive.identities() == identities([*quotes, quote("NVDA")])
    # A run over what is left of the archive changes nothing.
    assert archive.run().status == "done"
    assert archive.rows() == stored


class TestExpiryOfRawObjects:
    def raw_objects(self, archive: CompactedArchive) -> list[str]:
        return sorted(each.name for each in archive.directory.glob("raw-data/*/*/*.jsonl.gz"))

    def test_goes_on_wherever_it_was_killed(self, tmp_path: Path) -> None:
        before = CompactedArchive(tmp_path / "before")
        quotes = filled(before)
        before.run()
        count = len(self.raw_objects(before))
        whole = Dying(before.directory, 1_000)
        ledger = before.rows(LEDGER)
        expire(whole, before.tables())
        changes = 1_000 - whole.left
        assert changes >= count + 2 * 2  # both days have a list, which is written and deleted
        for at in range(changes):
            archive = CompactedArchive(tmp_path / str(at))
            filled(archive)
            archive.run()
            with pytest.raises(Killed):
                expire(Dying(archive.directory, at), archive.tables())
            left = len(self.raw_objects(archive))
            # Neither a run nor one that is asked to read the day again takes the rest of it for the whole day.
            assert archive.run().status == archive.run(day=MONDAY.date()).status == "done"
            assert expire(DirectoryArchive(archive.directory), archive.tables(), days=0) == 0
            assert len(self.raw_objects(archive)) == left
            assert expire(DirectoryArchive(archive.directory), archive.tables()) == left
            assert self.raw_objects(archive) == []
            assert not list(archive.directory.glob("compacted/expiring/*.json"))
            assert archive.identities() == identities(quotes)
            assert [row["quote_lines"] for row in archive.rows(LEDGER)] == [row["quote_lines"] for row in ledger]

    def test_never_deletes_what_is_not_compacted(self, archive: CompactedArchive) -> None:
        filled(archive)
        archive.run()
        count = len(self.raw_objects(archive))
        while len(self.raw_objects(archive)) == count:
            with pytest.raises(Killed):
                expire(Dying(archive.directory, 1), archive.tables())
        # An object of the day arrives late, and a listed one is written again with other lines.
        late = archive.arrive([quote("NVDA")], MONDAY)
        changed = next(each for each in archive.directory.glob("raw-data/dt=2026-11-23/*/*") if each != late)
        changed.write_bytes(gzip.compress(encode([quote("TSLA")])))
        expire(DirectoryArchive(archive.directory), archive.tables())
        assert {late.name, changed.name} == set(self.raw_objects(archive))

    def test_a_list_that_is_damaged_is_named(self, archive: CompactedArchive) -> None:
        filled(archive)
        archive.run()
        (archive.directory / "compacted/expiring").mkdir()
        (archive.directory / "compacted/expiring/2026-11-23.json").write_text("[")
        with pytest.raises(Damaged, match=r"compacted/expiring/2026-11-23\.json is damaged: .*\. Delete it"):
            expire(DirectoryArchive(archive.directory), archive.tables())
