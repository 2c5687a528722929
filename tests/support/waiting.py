"""Waiting for what other threads or processes do."""

from __future__ import annotations

import time
from collections.abc import Callable

LOOK_SECONDS = 0.01


def wait_until(condition: Callable[[], object], what: str, *, seconds: float = 10.0) -> None:
    """Wait until a condition is true. Fails in the words of `what` if that takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(LOOK_SECONDS)
