"""The range keys of the table of bars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bars.keys import (
    STORED_RESOLUTIONS,
    asked_key,
    asked_keys,
    bar_key,
    bar_keys,
    is_bar,
    resolution_of,
    start_of,
)

START = datetime(2026, 11, 27, 14, 30, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)).map(  # noqa: DTZ001  (made aware below)
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
RESOLUTIONS = st.sampled_from(STORED_RESOLUTIONS)


def test_a_key_is_the_resolution_and_the_start() -> None:
    assert bar_key("1m", START) == "1m#2026-11-27T14:30:00.000Z"
    assert asked_key("1m", START) == "asked#1m#2026-11-27T14:30:00.000Z"


@given(RESOLUTIONS, MOMENTS)
def test_a_key_says_what_it_was_made_of(resolution: str, start: datetime) -> None:
    key = bar_key(resolution, start)
    assert (resolution_of(key), start_of(key), is_bar(key)) == (resolution, start, True)
    assert start_of(asked_key(resolution, start)) == start


@given(RESOLUTIONS, RESOLUTIONS, MOMENTS, st.none() | MOMENTS, st.none() | MOMENTS)
def test_a_range_has_the_bars_that_begin_in_it_and_no_others(
    resolution: str, other: str, moment: datetime, start: datetime | None, end: datetime | None
) -> None:
    first, last = bar_keys(resolution, start, end)
    is_inside = (start is None or moment >= start) and (end is None or moment < end)
    assert (first <= bar_key(other, moment) <= last) == (other == resolution and is_inside)
    assert not first <= asked_key(other, moment) <= last
    first, last = asked_keys(resolution, start, end)
    assert (first <= asked_key(other, moment) <= last) == (other == resolution and is_inside)


def test_an_empty_range_has_no_key() -> None:
    first, last = bar_keys("1m", START, START)
    assert first > last
    first, last = bar_keys("1m", START, START + timedelta(milliseconds=1))
    assert first == last


@pytest.mark.parametrize("key", [asked_key("1m", START), "refold#1m", "15m#2026-11-27T14:30:00.000Z", ""])
def test_other_items_of_the_table_are_no_bars(key: str) -> None:
    assert not is_bar(key)
