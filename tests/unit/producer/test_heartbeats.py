"""Up to which time a lane is complete, from the groups that have symbols in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest
from msgspec.structs import replace

from producer_service.group_state import GroupState, Progress
from producer_service.heartbeats import Heartbeats, complete_to
from producer_service.market_hours import OPEN_ALWAYS, Calendar, MarketHours
from quotes import lane_of, partition_key
from tests.fakes.producer_bench import LANES, LIVE, calendar, group
from tests.support.quotes import OPEN

MINUTE = timedelta(minutes=1)
CLOSES = OPEN + 60 * MINUTE
OPENS_AGAIN = CLOSES + 600 * MINUTE

DAY = calendar("DAY", (OPEN, CLOSES), (OPENS_AGAIN, OPENS_AGAIN + 60 * MINUTE))
KNOWN: Mapping[str, Calendar] = {"always": OPEN_ALWAYS, "DAY": DAY}
MARKET = MarketHours(KNOWN, lambda name, _now: KNOWN[name], OPEN)

IN_LANE_0, ALSO_IN_LANE_0 = [f"S{number}" for number in range(9) if lane_of(f"S{number}", LANES) == 0][:2]
IN_LANE_1 = next(f"S{number}" for number in range(9) if lane_of(f"S{number}", LANES) == 1)


def state(*symbols: str, calendar: str = "always", at: int | None = None, ended: bool = False) -> GroupState:
    """A group whose last complete poll began this many minutes after the open."""
    made = GroupState(
        group("g", symbols, calendar=calendar), LIVE, MARKET, before_open=timedelta(), after_close=timedelta()
    )
    if at is not None:
        polled_at = OPEN + at * MINUTE
        made.progress = Progress(completed_at=polled_at, complete_to=polled_at, ended=ended)
    return made


def minutes_complete(*states: GroupState, now: int = 10) -> list[int | None]:
    """The `complete_to` of each lane in one round, in minutes after the open."""
    round_ = Heartbeats(states, LANES).round(OPEN + now * MINUTE)
    times = [round_[partition_key(lane, LANES)].complete_to for lane in range(LANES)]
    return [None if each is None else int((each - OPEN) / MINUTE) for each in times]


def test_a_lane_is_complete_to_the_earliest_time_of_its_groups() -> None:
    assert minutes_complete(state(IN_LANE_0, at=5), state(ALSO_IN_LANE_0, at=3), state(IN_LANE_1, at=1)) == [3, 1]


def test_a_lane_has_no_time_before_each_of_its_groups_completed_a_poll() -> None:
    assert minutes_complete(state(IN_LANE_0, at=5), state(ALSO_IN_LANE_0), state(IN_LANE_1, at=1)) == [None, 1]


def test_a_lane_without_symbols_follows_all_groups() -> None:
    assert minutes_complete(state(IN_LANE_0, at=5), state(ALSO_IN_LANE_0, at=3)) == [3, 3]


def test_a_closed_group_does_not_hold_its_lane_back() -> None:
    closed = state(IN_LANE_0, calendar="DAY", at=61)
    assert minutes_complete(closed, state(ALSO_IN_LANE_0, at=299), state(IN_LANE_1, at=298), now=300) == [299, 298]


def test_a_closed_group_is_complete_to_the_clock_less_its_delay() -> None:
    closed = state(IN_LANE_0, IN_LANE_1, calendar="DAY", at=90)
    closed.progress = replace(closed.progress, delay=20 * MINUTE)
    assert minutes_complete(closed, now=300) == [280, 280]


def test_a_closed_group_that_was_not_polled_since_its_close_holds_its_lane_back() -> None:
    assert minutes_complete(state(IN_LANE_0, IN_LANE_1, calendar="DAY", at=59), now=300) == [59, 59]


def test_a_declared_delay_postpones_the_close() -> None:
    late = state(IN_LANE_0, IN_LANE_1, calendar="DAY", at=61)
    late.progress = replace(late.progress, delay=20 * MINUTE)
    assert minutes_complete(late, now=70) == [60, 60]  # the last prices before the close are still to come


def test_complete_to_does_not_fall_when_the_exchange_opens_again() -> None:
    heartbeats = Heartbeats([state(IN_LANE_0, calendar="DAY", at=61)], LANES)
    before = heartbeats.round(OPENS_AGAIN - MINUTE)
    after = heartbeats.round(OPENS_AGAIN + MINUTE)
    assert {each.complete_to for each in (*before.values(), *after.values())} == {OPENS_AGAIN - MINUTE}


def test_clocks_rise_even_if_the_clock_of_the_host_does_not() -> None:
    heartbeats = Heartbeats([state(IN_LANE_0)], LANES)
    clocks = [heartbeats.round(now)[partition_key(0, LANES)].clock for now in (OPEN, OPEN, OPEN - MINUTE)]
    assert clocks == [OPEN + number * timedelta(milliseconds=1) for number in range(3)]


@pytest.mark.parametrize(
    ("states", "minute"),
    [
        ([state("A", at=5, ended=True), state("B", at=7)], 7),  # the first group has ended
        ([state("A", at=9, ended=True), state("B", at=7)], 7),
        ([state("A", at=5, ended=True), state("B", at=7, ended=True)], 7),  # all have ended
        ([state("A", at=5, ended=True), state("B")], None),
    ],
)
def test_a_group_that_has_ended_does_not_hold_others_back(states: list[GroupState], minute: int | None) -> None:
    tradings = {each: {*each.trading.values()} for each in states}
    assert complete_to(tradings, OPEN + 10 * MINUTE) == (None if minute is None else OPEN + minute * MINUTE)


@pytest.mark.parametrize("fast", [timedelta(seconds=62), timedelta(hours=1), timedelta(days=90)])
def test_heartbeats_recover_at_once_when_a_clock_that_was_fast_is_set(fast: timedelta) -> None:
    """S13: they went on from the time of the fast clock, so the processor refused them for as long as it was fast."""
    polled = state(IN_LANE_0, IN_LANE_1)
    heartbeats = Heartbeats([polled], LANES)
    polled.progress = Progress(completed_at=OPEN + fast, complete_to=OPEN + fast)
    heartbeats.round(OPEN + fast)
    [first, *_] = heartbeats.round(OPEN).values()
    assert (first.clock, first.complete_to) == (OPEN, None)
    polled.progress = Progress(completed_at=OPEN, complete_to=OPEN)
    [first, *_] = heartbeats.round(OPEN + MINUTE).values()
    assert (first.clock, first.complete_to) == (OPEN + MINUTE, OPEN)


def test_a_poll_in_the_future_does_not_count_as_the_one_after_the_close() -> None:
    polled = state(IN_LANE_0, calendar="DAY", at=90)
    assert not polled.is_due(CLOSES + 40 * MINUTE)
    assert polled.is_due(CLOSES + MINUTE)
