"""Which minutes should have a bar, at the ends of months, years and of what is known."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bars.coverage import spans_text
from bars.keys import ONE_MINUTE, asked_key
from bars.resolutions import MINUTE, Span
from query_api.expected_minutes import ExpectedMinutes
from query_api.symbol_facts import facts_of
from tests.fakes.query_ports import QueryWorld
from tests.support.query_bars import at, minutes_from, sessions_of, world_of

HOURS = 100
FIRST = at("2026-12-30 00:00")
"""The tests are about a hundred hours around the end of the year. New York's new year begins at 05:00 UTC."""


def times(longest: int) -> st.SearchStrategy[Span]:
    """Spans of up to so many minutes."""
    starts = st.integers(0, HOURS * 60 - 1).map(lambda number: FIRST + number * MINUTE)
    return st.builds(lambda start, length: Span(start, start + length * MINUTE), starts, st.integers(1, longest))


def expected_by(world: QueryWorld) -> ExpectedMinutes:
    return ExpectedMinutes(facts_of("AAPL", world.stores), world.stores)


def add_quiet(world: QueryWorld, span: Span) -> None:
    """Note that nothing was traded then, in the item of the exchange's day."""
    day = (span.start - timedelta(hours=5)).replace(hour=5, minute=0)
    row: dict[str, Any] = {"symbol": "AAPL", "key": asked_key(ONE_MINUTE, day), "without_trades": spans_text([span])}
    world.bars.put(row)


@given(
    sessions=st.lists(times(600), max_size=4),
    quiet=times(600) | st.none(),
    span=times(1440),
    stored=st.lists(times(1440), max_size=3),
)
def test_minutes_are_complete_if_none_of_a_session_is_missing_but_quiet_ones(
    sessions: list[Span], quiet: Span | None, span: Span, stored: list[Span]
) -> None:
    world, ended = world_of(), FIRST
    expected: set[datetime] = set()
    listed: dict[int, list[tuple[str, str, str]]] = {2026: [], 2027: []}
    for each in sorted(sessions):
        opens, closes = max(each.start, ended), each.end  # sessions do not overlap
        if opens >= closes:
            continue
        ended = closes
        expected.update(Span(opens, closes).minutes())
        year = (opens - timedelta(hours=5)).year
        listed[year].append((f"{opens:%Y-%m-%d}", f"{opens:%Y-%m-%d %H:%M}", f"{closes:%Y-%m-%d %H:%M}"))
    world.calendars.put(*(sessions_of("XNYS", year, "America/New_York", found) for year, found in listed.items()))
    if quiet is not None:
        add_quiet(world, quiet)
        expected -= set(quiet.minutes())
    covered = {minute for each in stored for minute in each.minutes()}
    complete = covered >= {minute for minute in expected if span.start <= minute < span.end}
    assert expected_by(world).are_all_in(span, covered) is complete


@pytest.mark.parametrize("calendar", ["XNYS", "always", "unknown"])
def test_a_night_without_trades_is_noted_in_the_month_before(calendar: str) -> None:
    """In New York, it is still November at 03:00 UTC."""
    world, night = world_of(calendar=calendar), Span(at("2026-12-01 03:00"), at("2026-12-01 04:00"))
    session = ("2026-11-30", "2026-12-01 03:00", "2026-12-01 04:00")
    world.calendars.put(sessions_of("XNYS", 2026, "America/New_York", [session]))
    assert not expected_by(world).are_all_in(night, {night.start})
    add_quiet(world, night)
    assert expected_by(world).are_all_in(night, {night.start})


@pytest.mark.parametrize("is_known", [True, False])
def test_every_minute_is_expected_where_sessions_are_unknown(*, is_known: bool) -> None:
    before = at("2026-01-01 04:59")  # sessions are known from 05:00 on
    world = world_of() if is_known else QueryWorld()
    world.calendars.put(sessions_of("XNYS", 2026, "America/New_York", []))
    for start in (before, before + MINUTE) if is_known else (before + MINUTE,):
        span = Span(start, start + 5 * MINUTE)
        minutes = minutes_from(start, 5)
        assert expected_by(world).are_all_in(span, minutes)
        assert expected_by(world).are_all_in(span, minutes[1:]) is (is_known and start > before)
