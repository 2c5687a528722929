"""The demo's view on a terminal: it fits, it follows the window, and it leaves the terminal as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.support.waiting import wait_until
from workspace.places import ROOT

ENTER, LEAVE, HOME = "\x1b[?1049h", "\x1b[?1049l", "\x1b[H"
PROGRAM = """
import signal
from msgspec.structs import replace
from rich.console import Console
from replica.monitor import NOTHING, Price
from replica.view import View

prices = tuple(Price(f"S{n:04}", "13.40", "+1.20 %") for n in range(100))
view = View(Console())
view.report("before")
with view.live():
    view.report("kept")
    view.update(
        replace(NOTHING, prices=prices), ["株 rose …"], state="running", prices="simulated prices", dashboard_url="http://x"
    )
    while True:
        signal.pause()
"""


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, **environment: str) -> None:
        self._terminal, terminal = pty.openpty()
        self.resize(80, 24)
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            env={**_without_sizes(), "TERM": "xterm-256color", **environment},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        os.set_blocking(self._terminal, False)
        self._bytes = b""

    def resize(self, width: int, height: int) -> None:
        """Change the size of the window."""
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def read(self) -> str:
        """Everything that was written so far."""
        with suppress(OSError):  # nothing more, or nobody writes any longer
            while chunk := os.read(self._terminal, 65_536):
                self._bytes += chunk
        return self._bytes.decode(errors="replace")

    def wait_for(self, condition: Callable[[str], object], what: str) -> str:
        """Wait until what was written fulfils a condition."""
        wait_until(lambda: condition(self.read()), what)
        return self.read()

    def is_stopped(self) -> bool:
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].startswith("T")

    def end(self) -> None:
        """Kill the program, if it still runs."""
        self.process.kill()
        self.process.wait()
        os.close(self._terminal)


def _without_sizes() -> dict[str, str]:
    changing = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"}
    return {name: value for name, value in os.environ.items() if name not in changing}


def drawings(output: str) -> list[list[str]]:
    """The lines of each complete drawing, without colours."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    return [part.partition("\x1b[?7h")[0].split("\r\n") for part in plain.split(HOME)[1:] if "\x1b[?7h" in part]


@pytest.fixture
def start() -> Iterator[Callable[..., Terminal]]:
    with ExitStack() as stack:

        def start(**environment: str) -> Terminal:
            terminal = Terminal(**environment)
            stack.callback(terminal.end)
            return terminal

        yield start


def await_full(terminal: Terminal, width: int, height: int) -> None:
    def is_full(lines: list[str]) -> bool:
        return lines[0].startswith("stockstream: simulated prices") and [*map(cell_len, lines)] == [width] * height

    terminal.wait_for(lambda output: any(map(is_full, drawings(output))), f"a drawing of {width}x{height}")


def test_it_fills_the_window_and_follows_its_size(start: Callable[..., Terminal]) -> None:
    terminal = start()
    for width, height in ((80, 24), (40, 10), (200, 60)):
        terminal.resize(width, height)
        await_full(terminal, width, height)


def test_ctrl_c_leaves_nothing_of_the_drawing_and_prints_the_reports(start: Callable[..., Terminal]) -> None:
    terminal = start()
    await_full(terminal, 80, 24)
    terminal.process.send_signal(signal.SIGINT)
    terminal.process.wait(10)
    output = terminal.wait_for(lambda output: "KeyboardInterrupt" in output, "the end")
    before, _, rest = output.partition(ENTER)
    assert before == "before\r\n"
    drawn, _, after = rest.partition(LEAVE)
    assert drawn.endswith("\x1b[?25h")
    assert "\x1b[" not in after
    assert after.startswith("kept\r\n")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGALRM])
def test_a_sudden_end_leaves_the_terminal_as_it_was(start: Callable[..., Terminal], number: int) -> None:
    terminal = start()
    await_full(terminal, 80, 24)
    terminal.process.send_signal(number)
    output = terminal.wait_for(lambda output: LEAVE in output, "the terminal is left")
    assert output.endswith(f"\x1b[?7h\x1b[?25h{LEAVE}")
    assert output.count(ENTER) == output.count(LEAVE) == 1


def test_ctrl_z_leaves_the_screen_until_it_goes_on(start: Callable[..., Terminal]) -> None:
    terminal = start()
    await_full(terminal, 80, 24)
    terminal.process.send_signal(signal.SIGTSTP)
    wait_until(terminal.is_stopped, "it stops")
    assert terminal.read().endswith(LEAVE)
    terminal.process.send_signal(signal.SIGCONT)
    terminal.wait_for(lambda output: drawings(output.rpartition(ENTER)[2]), "it draws again")


@pytest.mark.parametrize(
    ("environment", "shown", "hidden"),
    [
        ({"NO_COLOR": "1"}, "株 rose …", "\x1b[33m"),
        ({"PYTHONIOENCODING": "iso-8859-1"}, r"\u682a rose \u2026", "─"),
        ({"TERM": "dumb"}, "alert: 株 rose …", "\x1b"),
    ],
)
def test_plain_terminals(start: Callable[..., Terminal], environment: dict[str, str], shown: str, hidden: str) -> None:
    output = start(**environment).wait_for(lambda output: shown in output, "the alert")
    assert hidden not in output
