"""Fails a unit test that computes for too long.

Unit tests may run beside other work and give way to it. A long one then takes several times as long, and is stopped by
the time limit of all tests, which is there to stop a test that hangs. CPU time does not depend on other work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

SECONDS = 60.0
"""How much CPU time a unit test may take, with all its threads. That is a fifth of the time limit."""


@contextmanager
def limited_cpu_time(seconds: float = SECONDS, cpu_time: Callable[[], float] = time.process_time) -> Iterator[None]:
    """Fail the test that runs inside the block if it takes more CPU time than some seconds."""
    start = cpu_time()
    yield
    taken = cpu_time() - start
    if taken > seconds:
        message = (
            f"this test took {taken:.0f} s of CPU time, and a unit test may take {seconds:.0f} s: "
            "let it do less, or make several tests of it with pytest.mark.parametrize"
        )
        pytest.fail(message, pytrace=False)
