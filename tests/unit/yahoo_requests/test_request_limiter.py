from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from yahoo_requests.errors import SourceError
from yahoo_requests.request_limiter import RequestLimiter
from yahoo_requests.token_bucket import TokenBucket


class FakeTime(threading.Condition):
    """A condition whose `wait` returns at once and advances the time. `meanwhile` is called during each wait."""

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
def limiter(time: FakeTime) -> RequestLimiter:
    """Allows two requests at once, then one a second. A poll of ten seconds has started."""
    limiter = RequestLimiter(TokenBucket(per_second=1, burst=2), 5, lambda: time.now, time)
    limiter.start_poll(10)
    return limiter


def refused(limiter: RequestLimiter) -> str:
    with pytest.raises(SourceError) as caught:
        limiter.acquire()
    return caught.value.reason


def test_requests_beyond_the_burst_wait_for_their_tokens(limiter: RequestLimiter, time: FakeTime) -> None:
    passed = []
    for _ in range(4):
        limiter.acquire()
        passed.append(time.now - 1000)

    assert passed == [0, 0, 1, 2]


def test_a_request_that_is_not_counted_takes_no_token_and_obeys_every_other_rule(
    limiter: RequestLimiter, time: FakeTime
) -> None:
    for _ in range(10):
        assert limiter.acquire(counted=False) == 5
    assert time.now == 1000
    assert limiter.acquire() == 5

    limiter.block("rate_limited")
    with pytest.raises(SourceError, match="rate_limited"):
        limiter.acquire(counted=False)


def test_a_request_may_take_its_timeout_but_not_longer_than_the_poll(limiter: RequestLimiter, time: FakeTime) -> None:
    assert limiter.acquire() == 5
    time.now += 7
    assert limiter.acquire() == 3
    time.now += 3
    assert refused(limiter) == "timeout"


def test_does_not_wait_for_a_token_that_comes_after_the_end_of_the_poll(time: FakeTime) -> None:
    limiter = RequestLimiter(TokenBucket(per_second=0.01, burst=1), 5, lambda: time.now, time)
    limiter.start_poll(10)
    limiter.acquire()

    assert refused(limiter) == "timeout"
    assert time.now == 1010


def test_a_refusal_blocks_the_rest_of_the_poll(limiter: RequestLimiter) -> None:
    limiter.block("rate_limited")
    limiter.block("unauthorized")
    assert refused(limiter) == "rate_limited"

    limiter.start_poll(10)
    limiter.acquire()


def test_a_refusal_blocks_requests_that_already_wait(limiter: RequestLimiter, time: FakeTime) -> None:
    limiter.acquire()
    limiter.acquire()
    time.meanwhile = lambda: limiter.block("rate_limited")

    assert refused(limiter) == "rate_limited"


def test_stopping_blocks_all_later_polls(limiter: RequestLimiter, time: FakeTime) -> None:
    limiter.acquire()
    limiter.acquire()
    time.meanwhile = limiter.stop

    assert refused(limiter) == "stopped"
    limiter.start_poll(10)
    assert refused(limiter) == "stopped"
