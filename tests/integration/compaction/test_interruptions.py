"""A run that is killed, stopped, or meets another run makes the same tables."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from analytics.compacted_tables import ACTIONS, BARS, TABLES
from bars.keys import bar_key
from compaction.directory import DirectoryArchive
from compaction.job import Compaction
from compaction.upkeep import Upkeep
from tests.fakes.compacted_archive import NOW, CompactedArchive, MemoryHistory, no_progress
from tests.fakes.stopped_calls import Killed, Stopping
from tests.support.compacted_quotes import MONDAY, filled, identities, quote
from tests.support.sizes import sized


def test_a_run_that_is_killed_anywhere_and_run_again_makes_the_same_tables(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    undisturbed = CompactedArchive(tmp_path / "undisturbed")
    quotes = filled(undisturbed)
    counting = Stopping()
    undisturbed.run(counting)
    assert {"replace", "put", "written", "get", "files"} <= set(counting.calls)
    expected = undisturbed.rows(), undisturbed.rows(ACTIONS)
    steps = len(counting.calls)
    points = [(at, is_after) for at in range(1, steps + 1) for is_after in (False, True)]
    every = len(points) // sized(2, 8)
    for at, is_after in points[every // 2 :: every]:
        with subtests.test(call=counting.calls[at - 1], at=at, is_after=is_after):
            archive = CompactedArchive(tmp_path / f"{at}-{is_after}")
            filled(archive)
            with pytest.raises(Killed):
                archive.run(Stopping(at, is_after=is_after))
            assert archive.run().status == "done"
            assert (archive.rows(), archive.rows(ACTIONS)) == expected
            assert archive.identities() == identities(quotes)


class Interrupted:
    """A checkpoint that ends the run when it is called for the n-th time. With None, it only counts."""

    def __init__(self, at: int | None = None) -> None:
        self.calls, self._at = 0, at

    def __call__(self) -> None:
        self.calls += 1
        if self.calls == self._at:
            raise KeyboardInterrupt


def test_a_run_that_is_asked_to_stop_leaves_no_file_without_a_commit(tmp_path: Path, subtests: pytest.Subtests) -> None:
    def run(archive: CompactedArchive, checkpoint: Interrupted) -> None:
        store, tables = DirectoryArchive(archive.directory), archive.tables()
        prices = dict.fromkeys(("open", "high", "low", "close"), Decimal(1))
        history = MemoryHistory([{"symbol": "AAPL", "key": bar_key("1m", MONDAY), **prices}])
        job = Compaction(
            store, tables, now=NOW, progress=no_progress, checkpoint=checkpoint, history=history, scratch=tmp_path
        )
        job.quotes_and_actions(job.plan(None))
        job.bars(None)
        job.publish()
        Upkeep(store, tables, NOW, job.summary, checkpoint).run(7, 0)

    undisturbed, counting = CompactedArchive(tmp_path / "undisturbed"), Interrupted()
    filled(undisturbed)
    run(undisturbed, counting)
    expected = undisturbed.rows(), undisturbed.rows(ACTIONS), undisturbed.rows(BARS)
    for at in range(1, counting.calls + 1, sized(4, 2)):
        with subtests.test(checkpoint=at):
            archive = CompactedArchive(tmp_path / str(at))
            filled(archive)
            with pytest.raises(KeyboardInterrupt):
                run(archive, Interrupted(at))
            assert not list(tmp_path.glob("stockstream-compaction-*"))
            referenced = set().union(*(archive.tables().open(each).referenced() for each in TABLES))
            written = archive.directory.glob("compacted/*/data/**/*.parquet")
            assert {str(each) for each in written} <= {each.removeprefix("file://") for each in referenced}
            run(archive, Interrupted())
            assert (archive.rows(), archive.rows(ACTIONS), archive.rows(BARS)) == expected


def test_two_runs_at_once_make_the_same_tables(tmp_path: Path) -> None:
    alone = CompactedArchive(tmp_path / "alone")
    quotes = filled(alone)
    alone.run()
    both = CompactedArchive(tmp_path / "both")
    filled(both)
    both.run(now=MONDAY)  # it makes the tables, and closes no day
    runs = [threading.Thread(target=both.run) for _ in range(2)]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    assert both.rows() == alone.rows()
    assert both.identities() == identities(quotes)
    assert both.run().days_changed == []


def test_a_commit_between_reading_and_writing_is_merged(tmp_path: Path) -> None:
    archive = CompactedArchive(tmp_path)
    archive.arrive([quote()], MONDAY)

    class Interrupting(Stopping):
        def call(self, name: str, run: Callable[[], Any]) -> Any:
            if name == "replace" and "replace" not in self.calls:
                self.calls.append(name)
                archive.arrive([quote("NVDA")], MONDAY)
                archive.run()
            return super().call(name, run)

    archive.run(Interrupting())
    assert archive.identities() == identities([quote(), quote("NVDA")])
    assert archive.run().compacted_to == date(2026, 11, 28)
    assert archive.identities() == identities([quote(), quote("NVDA")])
