"""The journal: what it knows after a crash is what was committed before, and the journals of the release before."""

from __future__ import annotations

import contextlib
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
from producer_service.errors import JournalError
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


@pytest.mark.parametrize("version", [1, VERSION + 1])
def test_a_journal_of_another_version_is_refused(tmp_path: Path, version: int) -> None:
    Journal(tmp_path, LANES).close()
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as file:
        file.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(JournalError, match=f"has version {version}.*drain it"):
        Journal(tmp_path, LANES)
