"""Open time is that of the sessions, however long the history is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from yahoo_requests.open_time import OpenTime

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)


def at(minute: int) -> datetime:
    return MIDNIGHT + timedelta(minutes=minute)


SESSIONS = st.lists(st.integers(0, 40), max_size=8, unique=True).map(
    lambda times: [(at(one), at(other)) for one, other in zip(*[iter(sorted(times))] * 2, strict=False)]
)


@given(SESSIONS, st.integers(-2, 42), st.integers(-2, 42))
def test_it_counts_the_minutes_of_the_sessions(sessions: list[tuple[datetime, datetime]], start: int, end: int) -> None:
    minutes = {minute for minute in range(start, end) if any(one <= at(minute) < other for one, other in sessions)}

    assert OpenTime(reversed(sessions)).between(at(start), at(end)) == timedelta(minutes=len(minutes))


def test_a_bar_touches_a_session_that_it_overlaps_or_begins_at_the_end_of() -> None:
    open_time = OpenTime([(at(10), at(20)), (at(30), at(40))])

    assert [minute for minute in range(50) if open_time.touches(at(minute), at(minute + 1))] == [
        *range(10, 21),
        *range(30, 41),
    ]
    assert open_time.touches(at(25), at(35))
    assert not OpenTime([]).touches(at(0), at(9))
