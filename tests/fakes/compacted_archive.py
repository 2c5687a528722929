"""An archive in a directory that tests fill as the processor does, compact, and read back."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from analytics.compacted_tables import QUOTES, CompactedTable
from bars.keys import resolution_of, start_of
from compaction.catalogs import sqlite_tables
from compaction.directory import DirectoryArchive
from compaction.iceberg import Tables
from compaction.job import Compaction, Progress
from compaction.ports import Backfilled
from compaction.summary import Summary
from quotes import Line, encode
from tests.fakes.stopped_calls import Stopping

NOW = datetime(2026, 11, 28, 3, tzinfo=UTC)


@contextmanager
def no_progress(_step: str, _size: int | None) -> Iterator[Any]:
    """Show nothing."""
    yield lambda _done: None


class Inline(Executor):
    """Runs each call at once, so that no thread of PyIceberg outlives a test."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        """Run a call."""
        done: Future[Any] = Future()
        done.set_result(call(*args, **named))
        return done

    @classmethod
    def use(cls, monkeypatch: pytest.MonkeyPatch, factory: Any) -> None:
        """Let PyIceberg's factory of executors return one."""
        monkeypatch.setattr(factory, "_instance", cls())
        monkeypatch.setattr(factory, "_instance_pid", os.getpid())


class MemoryHistory:
    """A table of bars, and chunks of a backfill. It implements `compaction.ports.History`."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.fetched: list[Backfilled] = []
        self.without_trades = 0

    def symbols(self) -> list[str]:
        """See `compaction.ports.History`."""
        return sorted({row["symbol"] for row in self.rows})

    def bars(self, symbol: str, resolution: str, start: datetime, end: datetime) -> Iterator[Mapping[str, Any]]:
        """See `compaction.ports.History`."""
        found = [row for row in self.rows if row["symbol"] == symbol and resolution_of(row["key"]) == resolution]
        return iter([row for row in found if start <= start_of(row["key"]) < end])  # as they are now

    def chunks(self, since: datetime | None) -> Iterator[Backfilled]:
        """See `compaction.ports.History`."""
        return (each for each in self.fetched if since is None or each.fetched_at >= since)

    def sessions(self, before: datetime) -> Iterator[Mapping[str, Any]]:
        """See `compaction.ports.History`."""
        opens, closes = datetime(2026, 11, 23, 14, 30), datetime(2026, 11, 23, 21)  # noqa: DTZ001  (as in the table)
        row = {"symbol": "AAPL", "calendar": "XNYS", "timezone": "America/New_York", "day": opens.date()} | {
            "opens": opens,
            "closes": closes,
            "expected": 390,
            "without_trades": self.without_trades,
        }
        return iter([row] if closes < before.replace(tzinfo=None) else [])

    def chunk(self, symbol: str, resolution: str, start: datetime, end: datetime) -> Backfilled:
        """A chunk that was fetched just now."""
        return Backfilled(
            key="k", symbol=symbol, resolution=resolution, start=start, end=end, fetched_at=NOW, actions=()
        )


class CompactedArchive:
    """An archive, and a catalog beside it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._number = 0

    def arrive(self, lines: Sequence[Line] | bytes, at: datetime, *, number: int | None = None) -> Path:
        """Let lines arrive in an object of their own. `number` is its sequence number, by default the next one."""
        self._number += 1
        last = self._number if number is None else number
        body = lines if isinstance(lines, bytes) else encode(lines)
        folder = self.directory / f"raw-data/dt={at:%Y-%m-%d}/hour={at:%H}"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"shard-0-{last}-{last}.jsonl.gz"
        file.write_bytes(gzip.compress(body, mtime=0))
        return file

    def tables(self) -> Tables:
        """The tables by a new connection to the catalog."""
        return sqlite_tables(f"sqlite:///{self.directory}/compacted/catalog.db", str(self.directory))

    def run(self, stopping: Stopping | None = None, now: datetime = NOW, day: date | None = None) -> Summary:
        """Compact the archive, up to the call at which the program ends."""
        archive: Any = DirectoryArchive(self.directory)
        tables: Any = self.tables()
        if stopping is not None:
            archive, tables = stopping.wrapped(archive), stopping.wrapped(tables, opens="open")
        progress: Progress = no_progress
        job = Compaction(archive, tables, now=now, progress=progress)
        job.quotes_and_actions(job.plan(None if day is None else [day]))
        job.publish()
        return job.summary

    def rows(self, declared: CompactedTable = QUOTES) -> list[dict[str, Any]]:
        """The rows of a table in the order of its files."""
        table = self.tables().open(declared)
        paths = sorted(table.files().paths)
        return [row for path in paths for batch in table.batches(path) for row in batch.to_pylist()]

    def identities(self) -> list[tuple[Any, ...]]:
        """The identities of the stored quotes, sorted."""
        return sorted((row["symbol"], row["event_time"], row["revision"]) for row in self.rows())
