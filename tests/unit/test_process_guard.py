"""The guard itself. These tests are unit tests, so the guard that they test watches them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.support.process_guard import GUARD


def bind() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))


@pytest.mark.parametrize(
    ("start", "event"),
    [
        (lambda: subprocess.run([sys.executable, "--version"], check=True), "subprocess.Popen"),
        (lambda: os.posix_spawn(sys.executable, [sys.executable, "--version"], os.environ), "os.posix_spawn"),
        (lambda: os.system("true"), "os.system"),
        (bind, "socket.bind"),
    ],
    ids=["subprocess", "posix_spawn", "system", "bind"],
)
def test_a_unit_test_that_starts_a_process_or_a_server_fails(start: Callable[[], object], event: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=f"{event}: .* move it to tests/integration"):
        start()
    assert len(GUARD.forget()) == 1


def test_it_fails_though_the_code_under_test_hides_the_failure() -> None:
    def hide() -> None:
        with suppress(BaseException):
            bind()

    thread = threading.Thread(target=hide)
    thread.start()
    thread.join()
    hide()
    assert len(GUARD.forget()) == 2


def test_what_was_hidden_fails_the_test_at_its_end() -> None:
    def watched() -> None:
        with GUARD.watching(), suppress(BaseException):
            bind()

    with pytest.raises(pytest.fail.Exception, match=r"socket\.bind"):
        watched()
    GUARD.forget()
