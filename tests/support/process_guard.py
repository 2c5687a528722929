"""Fails a unit test that starts a process or opens a listening socket, and says where such a test belongs.

Unit tests run on every change, so they have to be fast and the same on every machine. Python reports each new process
and each bound socket to audit hooks (https://docs.python.org/3/library/audit_events.html), whichever library makes it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

FORBIDDEN = {
    "os.exec": "replaces its process",
    "os.fork": "forks",
    "os.forkpty": "forks",
    "os.posix_spawn": "starts a process",
    "os.spawn": "starts a process",
    "os.system": "starts a process",
    "socket.bind": "opens a socket that others can connect to",
    "subprocess.Popen": "starts a process",
}
"""The audit events that a unit test must not cause, and what each means."""


class ProcessGuard:
    """Watches this process for the forbidden events while a test runs."""

    def __init__(self) -> None:
        self._is_watching = False
        self._violations: list[str] = []

    def install(self) -> None:
        """Register the audit hook. Python offers no way to remove one, so this happens once in a process."""
        sys.addaudithook(self._on_event)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Fail the test that runs inside the block if it causes a forbidden event, even if it hides the failure."""
        self._violations.clear()
        self._is_watching = True
        try:
            yield
        finally:
            self._is_watching = False
        if self._violations:
            pytest.fail(self._violations[0], pytrace=False)

    def forget(self) -> list[str]:
        """Forget the violations so far and return their messages. For the tests of the guard itself."""
        violations, self._violations = self._violations, []
        return violations

    def _on_event(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._is_watching or event not in FORBIDDEN:
            return
        subject = arguments[-1 if event == "socket.bind" else 0]
        message = (
            f"this test {FORBIDDEN[event]} ({event}: {subject!r}), and a unit test must not: "
            "move it to tests/integration, or give the code under test a fake from tests/fakes"
        )
        self._violations.append(message)
        pytest.fail(message)


GUARD = ProcessGuard()
