"""Readiness, with a clock that the test controls. tests/integration/test_producer_endpoints.py has the pages."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from producer_service.health import ANSWER_SECONDS, HANDOVER, JOURNAL, LOG_SECONDS, STREAM, Health

TRUTH_SECONDS = 15
"""How soon the pages must tell the truth."""


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def ready(clock: Clock) -> Health:
    health = Health(clock)
    health.stream_answered(is_alive=True)
    assert health.readiness().ok
    return health


def test_a_request_without_an_answer_makes_it_unready_in_time() -> None:
    clock = Clock()
    health = ready(clock)
    with ExitStack() as requests:
        requests.enter_context(health.asking(STREAM))
        clock.now = ANSWER_SECONDS
        assert health.readiness().ok
        clock.now = TRUTH_SECONDS
        assert health.readiness().reason == "the stream has not answered for 15 s"
    assert health.readiness().ok


def test_a_request_that_raises_is_over() -> None:
    clock = Clock()
    health = ready(clock)
    with pytest.raises(SystemExit), health.asking(HANDOVER):
        raise SystemExit
    clock.now = TRUTH_SECONDS
    assert health.readiness().ok


def test_each_trouble_is_named_until_it_is_over() -> None:
    health = ready(Clock())
    health.fails(JOURNAL, "database or disk is full")
    health.stream_answered(is_alive=False, detail="timeout")
    assert health.readiness().reason == "the journal fails: database or disk is full; the stream fails: timeout"
    health.works(JOURNAL)
    assert health.readiness().reason == "the stream fails: timeout"
    health.stream_answered(is_alive=True)
    assert health.readiness().ok


def test_lasting_trouble_is_logged_at_first_and_once_a_minute() -> None:
    clock = Clock()
    health = ready(clock)
    logged = []
    for second in range(200):
        clock.now = float(second)
        if health.fails(JOURNAL, "full"):
            logged.append(second)
        if second % 7 == 0:
            health.works(JOURNAL)
    assert logged == [0, int(LOG_SECONDS), int(2 * LOG_SECONDS), int(3 * LOG_SECONDS)]
