from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer_service.sources import FailureReason
from producer_service.sources.breaker import PollOutcome
from producer_service.sources.yahoo.batch_policy import REFUSALS, Course, outcome_of

REASONS: tuple[FailureReason, ...] = get_args(FailureReason)


def start(course: Course) -> list[int]:
    """All that may be asked now."""
    asked = []
    while (number := course.next()) is not None:
        asked.append(number)
    return asked


def test_keeps_a_few_in_flight() -> None:
    course = Course(6, in_flight=4)

    assert start(course) == [0, 1, 2, 3]
    course.note(None)
    assert start(course) == [4]


def test_begins_where_it_is_told_and_goes_round() -> None:
    assert start(Course(5, in_flight=5, first=3)) == [3, 4, 0, 1, 2]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_ends_it_at_once(refusal: FailureReason) -> None:
    course = Course(6, in_flight=2)
    start(course)

    course.note(refusal)
    course.note(None)  # the other one was answered

    assert start(course) == []
    assert course.ended_by == refusal
    assert course.unasked == [2, 3, 4, 5]


def test_one_failure_does_not_end_it_and_two_in_a_row_do() -> None:
    course = Course(6, in_flight=1)

    for failure in ("timeout", None, "server_error"):
        start(course)
        course.note(failure)
    assert course.ended_by is None

    start(course)
    course.note("connection")
    assert course.ended_by == "connection"
    assert course.unasked == [4, 5]


def test_a_probe_goes_alone_and_opens_the_way() -> None:
    course = Course(6, in_flight=4, probe=True)

    assert start(course) == [0]
    course.note(None)
    assert start(course) == [1, 2, 3, 4]


def test_a_probe_that_fails_was_all() -> None:
    course = Course(6, in_flight=4, probe=True)
    start(course)

    course.note("timeout")

    assert start(course) == []
    assert course.ended_by == "timeout"


@pytest.mark.parametrize(
    ("batches", "outcome"),
    [
        ([], None),
        ([None, None], "answered"),
        ([None, "timeout", "server_error"], "answered"),
        (["timeout", "malformed"], "failed"),
        ([None, "unauthorized"], "unauthorized"),
        (["unauthorized", None, "rate_limited"], "rate_limited"),
        ([None, "stopped"], None),
    ],
)
def test_a_poll_means_to_the_breaker_what_its_batches_say(
    batches: list[FailureReason | None], outcome: PollOutcome | None
) -> None:
    assert outcome_of(batches) == outcome


@given(st.data(), st.integers(0, 12), st.integers(1, 4), st.booleans())
def test_in_any_order_of_answers_it_keeps_its_rules(
    data: st.DataObject,
    batches: int,
    in_flight: int,
    probe: bool,  # noqa: FBT001
) -> None:
    course = Course(batches, in_flight=in_flight, first=data.draw(st.integers(0, max(0, batches - 1))), probe=probe)
    asked: list[int] = []
    said: list[FailureReason | None] = []
    while True:
        new = start(course)
        asked += new
        assert course.under_way <= in_flight
        if any(reason in REFUSALS for reason in said) or (probe and said[:1] and said[0] is not None):
            assert new == []
        if probe and not said:
            assert len(asked) <= 1
        if not course.under_way:
            break
        said.append(data.draw(st.none() | st.sampled_from(REASONS)))
        course.note(said[-1])

    assert sorted([*asked, *course.unasked]) == list(range(batches))
    assert (course.ended_by is None) <= (not course.unasked)
