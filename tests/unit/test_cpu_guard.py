"""The guard fails a unit test that computes for too long, and no other."""

from __future__ import annotations

import pytest

from tests.support.cpu_guard import SECONDS, limited_cpu_time


def run_test(seconds: float, error: Exception | None = None) -> None:
    """Run a test that takes some CPU time, and that may fail by itself."""
    times = iter([100.0, 100.0 + seconds])
    with limited_cpu_time(cpu_time=lambda: next(times)):
        if error is not None:
            raise error


def test_a_test_that_takes_too_much_cpu_time_fails_and_is_told_what_to_do() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"took 61 s of CPU time, .* may take 60 s: .*parametrize"):
        run_test(seconds=61)


def test_a_test_may_take_as_much_as_the_limit() -> None:
    run_test(seconds=SECONDS)


def test_a_test_that_fails_by_itself_keeps_its_failure() -> None:
    with pytest.raises(ZeroDivisionError):
        run_test(seconds=61, error=ZeroDivisionError())


def test_the_limit_is_a_fifth_of_the_time_limit(pytestconfig: pytest.Config) -> None:
    """Beside other work, a test may take five times as long as its CPU time."""
    assert float(pytestconfig.getini("timeout")) == SECONDS * 5
