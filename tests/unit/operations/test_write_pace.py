"""How many rows are written at once, by how long the writes take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.write_pace import MOST_WRITERS, SLOW, WritePace


def paced(*seconds: float) -> WritePace:
    pace = WritePace()
    for each in seconds:
        pace = pace.after(each)
    return pace


@pytest.mark.parametrize("seconds", [0.005, 0.1], ids=["nearby", "far away"])
def test_a_table_that_answers_at_once_gets_all_writers_wherever_it_is(seconds: float) -> None:
    assert paced(*[seconds] * 10) == WritePace(MOST_WRITERS, 0.0, seconds)


def test_slow_answers_halve_the_writers_and_then_every_other_moment_is_left_to_others() -> None:
    fast = [0.01] * 10
    assert [paced(*fast, *[0.1] * times).writers for times in range(5)] == [8, 4, 2, 1, 1]
    assert paced(*fast, *[0.1] * 3).pause == 0
    assert paced(*fast, *[0.1] * 4).pause == 0.1
    assert paced(*fast, *[0.1] * 4, 0.01) == WritePace(2, 0.0, 0.01)


def test_a_table_that_takes_one_request_at_a_time_is_never_asked_for_many() -> None:
    pace = WritePace()
    for _ in range(50):
        pace = pace.after(0.01 * pace.writers)
        assert pace.writers <= SLOW + 1


def test_a_table_that_has_become_slower_for_good_gets_all_writers_again() -> None:
    slower = [0.01] * 10 + [0.1] * 60
    assert paced(*slower).writers == 1
    assert paced(*slower, *[0.1] * 100).writers == MOST_WRITERS


@given(st.lists(st.floats(0.0001, 30), max_size=50))
def test_there_is_always_a_writer_and_no_pause_is_longer_than_the_last_write(seconds: list[float]) -> None:
    pace = paced(*seconds)
    assert 1 <= pace.writers <= MOST_WRITERS
    assert 0 <= pace.pause <= (seconds[-1] if seconds else 0)
