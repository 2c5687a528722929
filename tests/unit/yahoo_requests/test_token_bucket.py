from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yahoo_requests.token_bucket import TokenBucket


def test_a_burst_passes_and_the_next_request_waits_for_its_token() -> None:
    bucket = TokenBucket(per_second=2, burst=3)

    assert [bucket.take(100.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert bucket.take(100.25) == 0.25
    assert bucket.take(100.5) == 0


def test_a_long_rest_fills_it_no_further_than_the_burst() -> None:
    bucket = TokenBucket(per_second=2, burst=3)
    bucket.take(0.0)

    assert [bucket.take(1e9) for _ in range(4)] == [0, 0, 0, 0.5]


@pytest.mark.parametrize(("per_second", "burst"), [(0, 1), (-1, 1), (float("nan"), 1), (1, 0)])
def test_rejects_a_bucket_that_would_let_nothing_through(per_second: float, burst: int) -> None:
    with pytest.raises(ValueError, match="let no request through"):
        TokenBucket(per_second, burst)


@given(
    st.lists(st.floats(-1, 10), max_size=60), st.floats(0.1, 50), st.integers(1, 20)
)  # steps of the clock, which may go backwards
def test_no_time_span_has_more_requests_than_burst_and_rate_allow(
    steps: list[float], per_second: float, burst: int
) -> None:
    bucket = TokenBucket(per_second, burst)
    now, latest = 1000.0, -math.inf
    taken: list[float] = []
    for step in steps:
        now += step
        latest = max(latest, now)
        if bucket.take(now) == 0:
            taken.append(latest)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + per_second * (taken[last] - taken[first]) + 1e-6


@given(st.lists(st.floats(0, 3), max_size=30), st.floats(0.1, 50), st.integers(1, 5))
def test_waiting_as_long_as_it_says_brings_a_token(steps: list[float], per_second: float, burst: int) -> None:
    bucket = TokenBucket(per_second, burst)
    now = 0.0
    for step in steps:
        now += step
        wait = bucket.take(now)
        if wait:
            now += wait + 1e-6
            assert bucket.take(now) == 0
