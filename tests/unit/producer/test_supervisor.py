"""What becomes of exceptions that nobody expected."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog.testing

from producer_service.health import Health
from producer_service.supervisor import MAX_FAILURES, Supervisor
from tests.fakes.fault import ERRORS


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


class Bench:
    def __init__(self) -> None:
        self.count = 0
        self.health = Health(lambda: 0.0)
        self.health.stream_answered(is_alive=True)
        self.supervisor = Supervisor(self.health, self._count)

    def _count(self) -> None:
        self.count += 1

    def fail(self, activity: str, error: BaseException) -> None:
        with self.supervisor.step(activity):
            raise error

    def succeed(self, activity: str) -> None:
        with self.supervisor.step(activity):
            pass


@pytest.mark.parametrize("error", ERRORS)
def test_any_error_is_logged_counted_and_makes_the_producer_unready(error: str) -> None:
    bench = Bench()
    with structlog.testing.capture_logs() as logs:
        bench.fail("heartbeat", ERRORS[error]())
    assert [(line["event"], line["activity"]) for line in logs] == [("unexpected_error", "heartbeat")]
    assert bench.count == 1
    assert bench.health.readiness().reason.startswith(f"heartbeat fails: {type(ERRORS[error]()).__name__}")
    assert not bench.supervisor.has_given_up
    bench.succeed("heartbeat")
    assert bench.health.readiness().ok


def test_it_gives_up_when_one_activity_fails_several_times_in_a_row() -> None:
    bench = Bench()
    for _ in range(MAX_FAILURES - 1):
        bench.fail("heartbeat", KeyError("x"))
        bench.fail("poll us", KeyError("x"))
    bench.succeed("heartbeat")
    bench.fail("heartbeat", KeyError("x"))
    assert not bench.supervisor.has_given_up
    bench.fail("poll us", KeyError("x"))
    assert bench.supervisor.has_given_up


def test_a_user_s_interrupt_is_not_an_error_of_a_step() -> None:
    with pytest.raises(KeyboardInterrupt):
        Bench().fail("poll us", KeyboardInterrupt())


def test_a_thread_goes_on_after_an_error_until_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producer_service.supervisor.PAUSE_SECONDS", 0.0)
    bench, steps = Bench(), [0]

    def step() -> None:
        steps[0] += 1
        if steps[0] % 2:
            raise SystemExit(3)

    thread = bench.supervisor.thread("sender 0", step, lambda: steps[0] >= 6)
    thread.start()
    thread.join(10)
    assert steps == [6]
    assert (bench.count, bench.supervisor.has_given_up) == (3, False)
