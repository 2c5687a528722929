"""Fails a test that leaves a thread behind, so that the thread cannot disturb a later test.

A thread that draws random numbers, for example, fails whichever test of Hypothesis runs at that moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

SHARED = ("event-source ", "asyncio-waitpid-")
"""How the names of threads begin that may outlive any test. An event source that several tests share starts a thread
for each shard when it finds the shard, which may be during a test. The other one waits for the end of Playwright's
program, which drives the browser of all tests."""
SECONDS = 10.0
"""How long a thread may take to end after the test that started it."""


class ThreadGuard:
    """Knows which threads may outlive a test: those from before it, and those of fixtures that several tests share."""

    def __init__(self) -> None:
        self._known: set[threading.Thread] = set()

    def remember(self) -> None:
        """Let the threads that run now outlive the test that begins."""
        self._known = set(threading.enumerate())

    @contextmanager
    def sharing(self) -> Iterator[None]:
        """Let the threads that start inside the block outlive the test, because a fixture of several tests has them."""
        before = set(threading.enumerate())
        try:
            yield
        finally:
            self._known |= set(threading.enumerate()) - before

    def check(self, seconds: float = SECONDS) -> None:
        """Fail if other threads do not end within some seconds."""
        deadline = time.monotonic() + seconds
        left: list[str] = []
        for thread in set(threading.enumerate()) - self._known:
            if thread.name.startswith(SHARED):
                continue
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                left.append(thread.name)
        if left:
            names = ", ".join(sorted(left))
            pytest.fail(f"this test leaves threads behind: {names}. Stop what it started.", pytrace=False)
