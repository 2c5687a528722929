"""Hours: sessions, margins and phases, and when a poll is worth it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer_service.hours import ALWAYS_OPEN, EARLIEST, LATEST, Hours, Phase, Session, is_due

DAY = datetime(2026, 11, 23, tzinfo=UTC)
MARGIN = timedelta(minutes=5)


def at(hour: float) -> datetime:
    return DAY + timedelta(hours=hour)


def test_a_session_is_open_from_its_first_moment_to_before_its_last() -> None:
    hours = Hours([Session(at(9), at(17))])
    open_at = [hours.phase(moment).is_open for moment in (at(9) - timedelta(milliseconds=1), at(9), at(16), at(17))]
    assert open_at == [False, True, True, False]


def test_a_phase_says_since_when_and_what_comes_next() -> None:
    hours = Hours([Session(at(9), at(12)), Session(at(13), at(17))])
    assert hours.phase(at(8)) == Phase(is_open=False, since=None, opens=at(9), closes=at(12))
    assert hours.phase(at(10)) == Phase(is_open=True, since=at(9), opens=at(13), closes=at(12))
    assert hours.phase(at(12.5)) == Phase(is_open=False, since=at(12), opens=at(13), closes=at(17))
    assert hours.phase(at(18)) == Phase(is_open=False, since=at(17), opens=None, closes=None)


def test_what_is_always_open_neither_opened_nor_closes() -> None:
    phase = Hours(ALWAYS_OPEN, before=MARGIN, after=MARGIN).phase(at(3))
    assert phase == Phase(is_open=True, since=None, opens=None, closes=None)


def test_margins_widen_and_sessions_that_then_touch_are_one() -> None:
    hours = Hours([Session(at(9), at(12)), Session(at(12.25), at(17))], before=MARGIN, after=2 * MARGIN)
    assert hours.sessions == (Session(at(9) - MARGIN, at(17) + 2 * MARGIN),)


def test_a_session_inside_another_changes_nothing() -> None:
    assert Hours([Session(at(10), at(11)), Session(at(9), at(17))]).sessions == (Session(at(9), at(17)),)


sessions = st.lists(
    st.tuples(st.integers(0, 100), st.integers(0, 20)).map(lambda pair: Session(at(pair[0]), at(pair[0] + pair[1]))),
    max_size=8,
)


@given(sessions, st.integers(-5, 130))
def test_it_is_open_exactly_while_one_of_the_sessions_is(some: list[Session], hour: int) -> None:
    moment = at(hour)
    hours = Hours(some)
    assert hours.phase(moment).is_open == any(each.opens <= moment < each.closes for each in some)
    for earlier, later in zip(hours.sessions, hours.sessions[1:], strict=False):
        assert earlier.closes < later.opens


@pytest.mark.parametrize(
    ("is_open", "since", "completed_at", "due"),
    [
        (True, at(9), at(10), True),
        (False, at(17), at(16), True),  # the last prices of the session are still missing
        (False, at(17), at(17), False),
        (False, at(17), None, True),  # the producer has just started
        (False, None, at(3), False),
    ],
)
def test_a_poll_is_due_while_open_and_once_since_the_close(
    *, is_open: bool, since: datetime | None, completed_at: datetime | None, due: bool
) -> None:
    assert is_due(Phase(is_open=is_open, since=since, opens=None, closes=None), completed_at) == due


def test_margins_are_not_added_to_the_ends_of_time() -> None:
    assert (
        Hours([Session(EARLIEST, at(1)), Session(at(2), LATEST)], before=MARGIN, after=MARGIN).sessions[0].opens
        == EARLIEST
    )
