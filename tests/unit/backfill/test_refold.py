"""Indicators follow from the bars in the end, however two runs interleave and wherever each of them is killed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from typing import TypeVar

import pytest

from backfill import refold_note
from backfill.indicators import refolded
from backfill.refold import Refolder
from backfill.refold_note import DEAD_AFTER, Marking, RefoldNote, note_of
from bars.provenance import ATTRIBUTE, BACKFILL
from lane_state import Split
from processor_lambda.rows import Row
from tests.fakes.backfill_ports import MemoryBars, MemoryChunks, MemoryLive, Process, bar_at
from tests.fakes.backfilled_market import stream_row
from tests.model.pausable_thread import PausableThread
from tests.support.sizes import sized

T = TypeVar("T")
OPEN = datetime(2026, 11, 27, 14, 30, tzinfo=UTC)
MINUTES = [OPEN + timedelta(minutes=each) for each in range(5)]
FILLED = {"first": MINUTES[0], "second": MINUTES[2]}
"""The minute that each of the two runs fills. The others are stored."""
CALLS = 10
"""How many calls a run makes if nothing interrupts it."""
SEGMENTS = 5
"""How many times the one run and then the other goes on, before each is killed or ends."""

Schedule = tuple[tuple[int, ...], tuple[bool, bool]]
"""How many calls the two runs make in turn, and whether each is killed then."""


class Ended(BaseException):
    """The run is killed here."""


class Run:
    """A run that fills one minute. It pauses before each of its calls."""

    def __init__(self, name: str, bars: MemoryBars, live: MemoryLive, now: Callable[[], datetime]) -> None:
        self.calls = 0
        self._is_killed = False
        own = PausedBars(bars, self.pause)
        refolder = Refolder(own, MemoryChunks(), PausedLive(live, self.pause), run=name, now=now)

        def fill() -> None:
            try:
                refolder.mark("AAPL", FILLED[name])
                row = stream_row("AAPL", bar_at(FILLED[name])) | {ATTRIBUTE: BACKFILL}
                own.put_bars([row], over_stream=False)
                refolder.refold("AAPL")
            except Ended:
                pass

        self._thread = PausableThread(fill)
        self._thread.resume()

    def pause(self) -> None:
        self._thread.pause()
        if self._is_killed:
            raise Ended
        self.calls += 1

    def go_on(self, calls: int | None = None, *, kill: bool = False) -> None:
        """Make so many calls, or all, and then be killed or wait."""
        while not self._thread.is_done and (calls is None or calls > 0):
            self._thread.resume()
            calls = None if calls is None else calls - 1
        if kill:
            self._is_killed = True
            while not self._thread.is_done:
                self._thread.resume()


class PausedBars(MemoryBars):
    """The table as a run uses it."""

    def __init__(self, shared: MemoryBars, pause: Callable[[], None]) -> None:
        super().__init__(PausedProcess(pause), shared.rows)


class PausedLive(MemoryLive):
    """The live state as a run uses it. It has the bars that were stored when it was computed."""

    def __init__(self, shared: MemoryLive, pause: Callable[[], None]) -> None:
        super().__init__(PausedProcess(pause))
        self.refolds = shared.refolds


class PausedProcess(Process):
    """A process that pauses before each call."""

    def __init__(self, pause: Callable[[], None]) -> None:
        super().__init__()
        self._pause = pause

    def call(self, act: Callable[[], T]) -> T:
        self._pause()
        return act()


def play(schedule: Schedule) -> MemoryBars:
    """Two runs by a schedule, and another one after they are dead."""
    lengths, kills = schedule
    bars, live, now = MemoryBars(), MemoryLive(), [OPEN + timedelta(hours=10)]
    for minute in MINUTES:
        if minute not in FILLED.values():
            bars.put([stream_row("AAPL", bar_at(minute, 300))])
    runs = [Run(name, bars, live, lambda: now[0]) for name in FILLED]
    for number, length in enumerate(lengths):
        runs[number % 2].go_on(length)
    for run, kill in zip(runs, kills, strict=True):
        run.go_on(0 if kill else None, kill=kill)
    now[0] += DEAD_AFTER
    Refolder(bars, MemoryChunks(), live, run="last", now=lambda: now[0]).refold("AAPL")
    return bars


def is_right(bars: MemoryBars) -> bool:
    """Whether all indicators follow from the bars, and nothing is left to do."""
    note = note_of("AAPL", bars.between("AAPL", refold_note.KEY, refold_note.KEY))
    return not refolded([*bars.bars("AAPL").values()], OPEN, []) and not note.markings


def schedules() -> Iterator[Schedule]:
    """Every order of the calls of two runs in which they change `SEGMENTS` times at most, and every kill in it."""
    for lengths in product(range(CALLS + 1), repeat=SEGMENTS):
        if sum(lengths[::2]) <= CALLS + 2 and sum(lengths[1::2]) <= CALLS + 2 and 0 not in lengths[1:-1]:
            for kills in product([False, True], repeat=2):
                yield lengths, (kills[0], kills[1])


ALL = list(schedules())


@pytest.mark.parametrize("part", range(4))
def test_however_two_runs_interleave_and_are_killed_the_indicators_follow_from_the_bars(part: int) -> None:
    found = random.Random(part).sample(ALL, sized(250, 1_500))
    assert [schedule for schedule in found if not is_right(play(schedule))] == []


def clear_all(note: RefoldNote, _run: str, _since: datetime) -> RefoldNote:
    return RefoldNote(note.symbol, note.version + 1)


def keep_the_version(note: RefoldNote, run: str, minute: datetime, now: datetime) -> RefoldNote:
    return RefoldNote(note.symbol, note.version, {**note.markings, run: Marking(minute, now)})


def write_whatever_is_stored(bars: MemoryBars, row: Row, _read: int) -> bool:
    bars.put([row])
    return True


@pytest.mark.parametrize(
    ("owner", "rule", "broken"),
    [
        (RefoldNote, "finished", clear_all),
        (RefoldNote, "marked", keep_the_version),
        (MemoryBars, "put_note", write_whatever_is_stored),
    ],
    ids=["drops the markings of others", "marks without a new version", "writes over any version"],
)
def test_each_rule_of_the_note_is_needed(
    owner: type, rule: str, broken: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, rule, broken)
    found = random.Random(0).sample(ALL, 2_000)
    assert any(not is_right(play(schedule)) for schedule in found)


def test_a_run_makes_as_many_calls_as_the_schedules_know() -> None:
    bars = MemoryBars()
    run = Run("first", bars, MemoryLive(), lambda: OPEN)
    run.go_on()
    assert run.calls == CALLS


def test_a_marking_of_another_run_stays_until_that_run_is_dead() -> None:
    note = RefoldNote("AAPL").marked("one", MINUTES[2], OPEN).marked("two", MINUTES[1], OPEN)
    assert note.since == MINUTES[1]
    assert note.finished("two", OPEN + timedelta(hours=1)).since == MINUTES[2]
    assert note.finished("two", OPEN + DEAD_AFTER).since is None
    assert note.marked("one", MINUTES[3], OPEN + DEAD_AFTER).finished("two", OPEN + DEAD_AFTER).since == MINUTES[2]
    assert note_of("AAPL", [note.row()]) == note


def test_the_split_of_the_live_state_counts_if_the_archive_has_none() -> None:
    bars, live = MemoryBars(), MemoryLive()
    live.split["AAPL"] = Split(MINUTES[3], 3, 1, is_declared=False, is_applied=True)
    bars.put([stream_row("AAPL", bar_at(minute, 300 if minute < MINUTES[3] else 100)) for minute in MINUTES])
    refolder = Refolder(bars, MemoryChunks(), live, run="one", now=partial(datetime.now, UTC))
    refolder.mark("AAPL", OPEN)
    refolder.refold("AAPL")
    assert abs(float(bars.bars("AAPL")["1m#2026-11-27T14:34:00.000Z"]["sma_5"]) - 100) < 1
    assert live.refolds[0][1] == (live.split["AAPL"],)
