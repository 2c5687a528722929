from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer_service.sources.yahoo.batch_policy import REFUSALS, BatchPolicy, poll_outcome
from yahoo_requests.breaker import PollOutcome
from yahoo_requests.errors import FailureReason

REASONS: tuple[FailureReason, ...] = get_args(FailureReason)


def start(policy: BatchPolicy) -> list[int]:
    """Request every batch that may be requested now."""
    requested = []
    while (number := policy.next_batch()) is not None:
        requested.append(number)
    return requested


def test_limits_the_requests_in_flight() -> None:
    policy = BatchPolicy(6, max_in_flight=4)

    assert start(policy) == [0, 1, 2, 3]
    policy.record(None)
    assert start(policy) == [4]


def test_starts_with_the_given_batch_and_wraps_around() -> None:
    assert start(BatchPolicy(5, max_in_flight=5, first=3)) == [3, 4, 0, 1, 2]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_stops_the_poll_at_once(refusal: FailureReason) -> None:
    policy = BatchPolicy(6, max_in_flight=2)
    start(policy)

    policy.record(refusal)
    policy.record(None)  # the other request in flight succeeds

    assert start(policy) == []
    assert policy.stopped_by == refusal
    assert policy.waiting == [2, 3, 4, 5]


def test_one_failure_does_not_stop_the_poll_but_two_in_a_row_do() -> None:
    policy = BatchPolicy(6, max_in_flight=1)

    for failure in ("timeout", None, "server_error"):
        start(policy)
        policy.record(failure)
    assert policy.stopped_by is None

    start(policy)
    policy.record("connection")
    assert policy.stopped_by == "connection"
    assert policy.waiting == [4, 5]


def test_a_probe_requests_one_batch_and_the_others_after_its_success() -> None:
    policy = BatchPolicy(6, max_in_flight=4, probe=True)

    assert start(policy) == [0]
    policy.record(None)
    assert start(policy) == [1, 2, 3, 4]


def test_a_failed_probe_stops_the_poll() -> None:
    policy = BatchPolicy(6, max_in_flight=4, probe=True)
    start(policy)

    policy.record("timeout")

    assert start(policy) == []
    assert policy.stopped_by == "timeout"


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
def test_the_outcome_of_a_poll_follows_from_its_batches(
    batches: list[FailureReason | None], outcome: PollOutcome | None
) -> None:
    assert poll_outcome(batches) == outcome


@given(st.data(), st.integers(0, 12), st.integers(1, 4), st.booleans())
def test_keeps_its_rules_for_any_order_of_results(
    data: st.DataObject,
    batches: int,
    in_flight: int,
    probe: bool,  # noqa: FBT001
) -> None:
    policy = BatchPolicy(
        batches, max_in_flight=in_flight, first=data.draw(st.integers(0, max(0, batches - 1))), probe=probe
    )
    requested: list[int] = []
    results: list[FailureReason | None] = []
    while True:
        new = start(policy)
        requested += new
        assert policy.in_flight <= in_flight
        if any(reason in REFUSALS for reason in results) or (probe and results[:1] and results[0] is not None):
            assert new == []
        if probe and not results:
            assert len(requested) <= 1
        if not policy.in_flight:
            break
        results.append(data.draw(st.none() | st.sampled_from(REASONS)))
        policy.record(results[-1])

    assert sorted([*requested, *policy.waiting]) == list(range(batches))
    assert (policy.stopped_by is None) <= (not policy.waiting)
