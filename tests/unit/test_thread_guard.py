"""The guard itself, with threads that end when the test lets them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.support.thread_guard import ThreadGuard


@pytest.fixture
def end() -> Iterator[threading.Event]:
    """Ends the threads that wait for it."""
    event = threading.Event()
    yield event
    event.set()


def start(end: threading.Event) -> None:
    threading.Thread(target=end.wait, name="left", daemon=True).start()


def test_a_test_that_leaves_a_thread_behind_fails(end: threading.Event) -> None:
    guard = ThreadGuard()
    guard.remember()
    start(end)
    with pytest.raises(pytest.fail.Exception, match=r"leaves threads behind: left\. Stop what it started"):
        guard.check(0.01)


def test_a_thread_has_time_to_end(end: threading.Event) -> None:
    guard = ThreadGuard()
    guard.remember()
    start(end)
    threading.Timer(0.05, end.set).start()
    guard.check()


def test_a_thread_from_before_the_test_and_one_of_a_shared_fixture_may_stay(end: threading.Event) -> None:
    guard = ThreadGuard()
    start(end)
    guard.remember()
    with guard.sharing():
        start(end)
    guard.check(0)
