"""The days that options name."""

from __future__ import annotations

from datetime import date, datetime

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from operations.command_line import day_of


@given(st.dates(date(1900, 1, 1), date(2999, 12, 31)))
def test_a_day_is_read_as_it_is_written(day: date) -> None:
    assert day_of(day.isoformat()) == datetime(day.year, day.month, day.day)  # noqa: DTZ001  (a day, without a zone)


@pytest.mark.parametrize("text", ["2026-13-01", "2026-02-30", "tomorrow", "", "2026-11-27T10:00"])
def test_another_text_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a day like 2026-11-27"):
        day_of(text)


@pytest.mark.parametrize("text", ["0001-01-01", "1899-12-31", "3000-01-01", "9999-12-31"])
def test_a_day_that_no_time_zone_can_be_computed_for_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a day of the years 1900 to 2999"):
        day_of(text)
