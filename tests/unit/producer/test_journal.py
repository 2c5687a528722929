"""The journal: what it knows after a crash is what was committed before, and the journals of the release before."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from producer_service import journal as journals
from producer_service.deduplication import SymbolHistory, deduplicate
from producer_service.errors import JournalError, JournalUnavailable
from producer_service.handover_store import UndeliveredState
from producer_service.journal import FILE, VERSION, Journal
from producer_service.outbox import Outbox
from producer_service.packing import Row
from quotes import Quote, lane_of
from tests.support.quotes import make_quote
from tests.support.sizes import sized

LANES = 2
SYMBOLS = ("AAPL", "MSFT", "NVDA")

VERSION_2 = """
CREATE TABLE lanes (count INTEGER NOT NULL);
CREATE TABLE rows (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    lane INTEGER NOT NULL,
    lines BLOB NOT NULL,
    quotes INTEGER NOT NULL,
    accepted_at REAL NOT NULL
);
CREATE TABLE restored (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE histories (lane INTEGER PRIMARY KEY, packed BLOB NOT NULL);
CREATE TABLE log_entries (id INTEGER PRIMARY KEY AUTOINCREMENT, entries BLOB NOT NULL);
PRAGMA application_id = 0x73746B73;
PRAGMA user_version = 2;
INSERT INTO lanes VALUES (2);
"""


def around(journal: Journal) -> Outbox:
    return Outbox(
        journal,
        lanes=LANES,
        max_bytes=2**20,
        linger_seconds=0,
        clock=lambda: 0.0,
        monotonic=lambda: 0.0,
        jitter=lambda: 0.0,
    )


@contextlib.contextmanager
def opened(directory: Path) -> Iterator[Outbox]:
    outbox = around(Journal(directory, LANES))
    try:
        yield outbox
    finally:
        outbox.close()


def known(outbox: Outbox) -> tuple[list[Row], dict[str, SymbolHistory]]:
    """What must outlive the process: the pending rows, apart from their freshness, and the histories."""
    state = outbox.undelivered()
    return [replace(row, available_at=()) for row in state.rows], state.histories


quotes = st.builds(
    make_quote,
    symbol=st.sampled_from(SYMBOLS),
    second=st.sampled_from((0, 1, 2, 200)),  # after one at 200, one at 0 shows that a clock was ahead
    price=st.sampled_from(("1", "2", "3")),
    received=st.sampled_from((0, 5)),
)
steps = st.one_of(
    st.tuples(st.just("put"), st.lists(quotes, min_size=1, max_size=4)),
    st.tuples(st.just("send"), st.booleans()),
    st.tuples(st.just("restore"), st.lists(quotes, max_size=4)),
)


@settings(max_examples=sized(100, 3_000), deadline=None)
@given(st.lists(steps, max_size=20), st.sampled_from((0, 300, 2**18)))
def test_the_journal_knows_at_every_moment_what_the_outbox_knows(script: list[tuple[str, Any]], log_bytes: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journals, "LOG_BYTES", log_bytes)
        journal = Journal(None, LANES)
        outbox = around(journal)
        for number, (step, content) in enumerate(script):
            if step == "put":
                outbox.put(deduplicate(outbox.histories, content))
            elif step == "send":
                packets = outbox.take(0)
                outbox.settle(packets, [content for _ in packets])
            else:
                outbox.restore(str(number), left_by_another(content))
            assert known(around(journal)) == known(outbox)
        outbox.close()


def left_by_another(left: list[Quote]) -> UndeliveredState:
    deduplicated = deduplicate({}, left)
    rows = tuple(Row(0, lane_of(each.quote.symbol, LANES), each.line, 1, 0.0) for each in deduplicated.accepted)
    return UndeliveredState(LANES, rows, digested(deduplicated.histories))


def digested(histories: Mapping[str, SymbolHistory]) -> dict[str, SymbolHistory]:
    return {symbol: history.digested for symbol, history in histories.items()}


def test_what_was_delivered_before_a_crash_is_suppressed_after_it(tmp_path: Path) -> None:
    with opened(tmp_path) as outbox:
        outbox.put(deduplicate(outbox.histories, [make_quote(price="1"), make_quote(price="2")]))
        packets = outbox.take(0)
        outbox.settle(packets, [True])
    with opened(tmp_path) as outbox:
        again = deduplicate(outbox.histories, [make_quote(price="1"), make_quote(price="2"), make_quote(price="3")])
    assert (again.suppressed, [accepted.revision for accepted in again.accepted]) == (2, [2])


def test_a_journal_that_is_opened_again_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "LOG_BYTES", 500)
    before = None
    for second in range(8):
        with opened(tmp_path) as outbox:
            assert before in (None, known(outbox))
            outbox.put(deduplicate(outbox.histories, [make_quote(symbol, second) for symbol in SYMBOLS]))
            packets = outbox.take(0)
            outbox.settle(packets, [second % 3 != 0] * len(packets))
            before = known(outbox)


def test_acknowledged_rows_are_deleted_when_there_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "LOG_BYTES", 3_000)
    with opened(tmp_path) as outbox:
        for second in range(100):
            outbox.put(deduplicate(outbox.histories, [make_quote(second=second)]))
            outbox.settle(outbox.take(0), [True])
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as file:
        (kept,) = file.execute("SELECT sum(length(lines)) FROM rows").fetchone()
    assert kept < 2 * 3_000


def test_a_journal_of_version_2_is_read_and_continued(tmp_path: Path) -> None:
    delivered, pending = deduplicate({}, [make_quote(price="1"), make_quote("MSFT", price="7")]).accepted
    write_version_2(tmp_path, pending.line, digested(deduplicate({}, [delivered.quote, pending.quote]).histories))
    with opened(tmp_path) as outbox:
        assert [row.lines for row in outbox.undelivered().rows] == [pending.line]
        again = deduplicate(outbox.histories, [delivered.quote, pending.quote, make_quote(price="2")])
        assert (again.suppressed, [accepted.revision for accepted in again.accepted]) == (2, [1])
        outbox.put(again)
        before = known(outbox)
    with opened(tmp_path) as outbox:
        assert known(outbox) == before
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (VERSION,)


def write_version_2(directory: Path, line: bytes, histories: Mapping[str, SymbolHistory]) -> None:
    with contextlib.closing(sqlite3.connect(directory / FILE)) as file:
        file.executescript(VERSION_2)
        for lane in range(LANES):
            of_lane = {symbol: history for symbol, history in histories.items() if lane_of(symbol, LANES) == lane}
            file.execute("INSERT INTO histories VALUES (?, ?)", (lane, msgspec.msgpack.encode(of_lane)))
        file.execute(
            "INSERT INTO rows (lane, lines, quotes, accepted_at) VALUES (?, ?, 1, 0)", (lane_of("MSFT", LANES), line)
        )
        file.commit()


class Disk:
    """Sees every statement of the journals that are opened, and may be full."""

    def __init__(self, directory: Path, copies: Path) -> None:
        self._directory = directory
        self._copies = copies
        self._connect = sqlite3.connect
        self._db: sqlite3.Connection | None = None
        self._is_copying = False

    def connect(self, *args: Any, **options: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = self._connect(*args, **options)
        db.set_trace_callback(lambda _statement: self._copy())
        self._db = db
        return db

    def limit(self, pages: int) -> None:
        assert self._db is not None
        self._db.execute(f"PRAGMA max_page_count = {pages:d}")

    @contextlib.contextmanager
    def copying(self) -> Iterator[None]:
        """Keep what a process would leave that is killed before any of the statements."""
        self._is_copying = True
        try:
            yield
            self._copy()
        finally:
            self._is_copying = False

    def left(self) -> list[Path]:
        return sorted(self._copies.iterdir())

    def _copy(self) -> None:
        if self._is_copying:
            shutil.copytree(self._directory, self._copies / f"{len(list(self._copies.iterdir())):03}")


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    directory, copies = tmp_path / "journal", tmp_path / "copies"
    directory.mkdir()
    copies.mkdir()
    found = Disk(directory, copies)
    monkeypatch.setattr(sqlite3, "connect", found.connect)
    monkeypatch.setattr(journals, "LOG_BYTES", 0)
    return found


def known_after_a_start(directory: Path) -> tuple[list[Row], dict[str, SymbolHistory]]:
    with opened(directory) as outbox:
        return known(outbox)


@pytest.mark.parametrize("step", ["put", "settle", "restore"])
def test_a_process_that_is_killed_leaves_all_of_a_step_or_nothing(tmp_path: Path, disk: Disk, step: str) -> None:
    with opened(tmp_path / "journal") as outbox:
        for second in range(3):  # so that there are acknowledged rows to delete, and pending ones
            outbox.put(deduplicate(outbox.histories, [make_quote(symbol, second) for symbol in SYMBOLS]))
            packets = outbox.take(0)
            if second < 2:
                outbox.settle(packets, [True] * len(packets))
        before = known(outbox)
        more = [make_quote(symbol, 3) for symbol in SYMBOLS]
        with disk.copying():
            if step == "put":
                outbox.put(deduplicate(outbox.histories, more))
            elif step == "settle":
                outbox.settle(packets, [True] * len(packets))
            else:
                outbox.restore("key", left_by_another(more))
        after = known(outbox)
    left = [known_after_a_start(copy) for copy in disk.left()]
    assert len(left) > 3
    assert left[-1] == after != before
    assert all(each in (before, after) for each in left)


def test_a_process_that_is_killed_while_it_upgrades_a_journal_loses_nothing(tmp_path: Path, disk: Disk) -> None:
    delivered, pending = deduplicate({}, [make_quote(price="1"), make_quote("MSFT", price="7")]).accepted
    histories = digested(deduplicate({}, [delivered.quote, pending.quote]).histories)
    write_version_2(tmp_path / "journal", pending.line, histories)
    with disk.copying():
        rows, found = known_after_a_start(tmp_path / "journal")
    assert ([row.lines for row in rows], found) == ([pending.line], histories)
    left = [known_after_a_start(copy) for copy in disk.left()]
    assert len(left) > 10
    assert all(each == (rows, found) for each in left)


def test_a_full_disk_changes_nothing_and_room_on_it_is_used(tmp_path: Path, disk: Disk) -> None:
    with opened(tmp_path / "journal") as outbox:
        outbox.put(deduplicate(outbox.histories, [make_quote("AAPL", 0)]))
        before = known(outbox)
        many = deduplicate(outbox.histories, [make_quote(f"S{number}", 1) for number in range(500)])
        disk.limit(1)
        with pytest.raises(JournalUnavailable, match="free space"):
            outbox.put(many)
        assert known(outbox) == before
        disk.limit(2**20)
        outbox.put(many)
        before = known(outbox)
    assert len(before[1]) == 501
    assert known_after_a_start(tmp_path / "journal") == before


@pytest.mark.parametrize("version", [1, VERSION + 1])
def test_a_journal_of_another_version_is_refused(tmp_path: Path, version: int) -> None:
    Journal(tmp_path, LANES).close()
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as file:
        file.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(JournalError, match=f"has version {version}.*drain it"):
        Journal(tmp_path, LANES)
