from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from producer_service.sources.token_bucket import TokenBucket
from producer_service.sources.yahoo.request_limiter import Gate, Trouble


class FakeTime(threading.Condition):
    """Whoever waits finds the time gone by at once; `meanwhile` is what happens then."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.meanwhile: Callable[[], None] = lambda: None

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        assert timeout > 0
        self.now += timeout
        self.meanwhile()
        return True


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def gate(time: FakeTime) -> Gate:
    """Two requests at once, then one a second; a poll of ten seconds has begun."""
    gate = Gate(TokenBucket(per_second=1, burst=2), 5, lambda: time.now, time)
    gate.begin(10)
    return gate


def refused(gate: Gate) -> str:
    with pytest.raises(Trouble) as caught:
        gate.enter()
    return caught.value.reason


def test_requests_beyond_the_burst_wait_for_their_tokens(gate: Gate, time: FakeTime) -> None:
    passed = []
    for _ in range(4):
        gate.enter()
        passed.append(time.now - 1000)

    assert passed == [0, 0, 1, 2]


def test_a_request_may_take_its_timeout_but_not_longer_than_the_poll(gate: Gate, time: FakeTime) -> None:
    assert gate.enter() == 5
    time.now += 7
    assert gate.enter() == 3
    time.now += 3
    assert refused(gate) == "timeout"


def test_a_token_that_comes_too_late_for_the_poll_is_not_waited_for(time: FakeTime) -> None:
    gate = Gate(TokenBucket(per_second=0.01, burst=1), 5, lambda: time.now, time)
    gate.begin(10)
    gate.enter()

    assert refused(gate) == "timeout"
    assert time.now == 1010


def test_a_refusal_shuts_it_for_this_poll(gate: Gate) -> None:
    gate.refuse("rate_limited")
    gate.refuse("unauthorized")
    assert refused(gate) == "rate_limited"

    gate.begin(10)
    gate.enter()


def test_a_refusal_reaches_those_who_wait(gate: Gate, time: FakeTime) -> None:
    gate.enter()
    gate.enter()
    time.meanwhile = lambda: gate.refuse("rate_limited")

    assert refused(gate) == "rate_limited"


def test_stopping_shuts_it_for_ever(gate: Gate, time: FakeTime) -> None:
    gate.enter()
    gate.enter()
    time.meanwhile = gate.stop

    assert refused(gate) == "stopped"
    gate.begin(10)
    assert refused(gate) == "stopped"
