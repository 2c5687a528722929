"""How the demo ends: whatever ends it, and whenever, it leaves no process and no directory behind."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deployment.functions import ROOT
from tests.support import demos
from tests.support.sizes import sized
from tests.support.waiting import wait_until

PROMPTLY = 15.0
SETUP = ("starting the emulator", "building the function's zip", "creating stockstream-demo-processor")
SETUP_MOMENTS = SETUP[: sized(1, 3)]
"""What the demo reports at the moments at which a test ends it."""
MOMENTS = (*SETUP_MOMENTS, "running:")


class Demo:
    """A demo in a terminal of its own, started by a shell as `make` starts it: in the process group of the shell."""

    def __init__(self, python: str, directory: Path, *options: str) -> None:
        self._directory = directory
        self._terminal: int | None
        self._terminal, terminal = pty.openpty()
        command = " ".join([python, "-m", "replica", "demo", *options])
        self._shell = subprocess.Popen(
            ["setsid", "--ctty", "sh", "-c", f"trap 'echo trapped' INT; {command}; echo status $?; exit 0"],
            cwd=ROOT,
            env=demos.environment(directory, COLUMNS="200", LINES="50", TERM="xterm"),
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )
        os.close(terminal)
        os.set_blocking(self._terminal, False)
        self.output = ""

    def read(self) -> str:
        """Everything that the demo has printed so far."""
        assert self._terminal is not None
        with suppress(OSError):  # a terminal that its last program has left cannot be read
            while chunk := os.read(self._terminal, 65_536):
                self.output += chunk.decode(errors="replace")
        return self.output

    def wait_for(self, text: str) -> None:
        """Wait until the demo has printed a text."""
        wait_until(lambda: text in self.read(), f"the demo prints {text}", seconds=60)

    def press_ctrl_c(self) -> None:
        """Send what a keyboard sends."""
        assert self._terminal is not None
        os.write(self._terminal, b"\x03")

    def close_terminal(self) -> None:
        """Do what closing the window of a terminal does."""
        assert self._terminal is not None
        os.close(self._terminal)
        self._terminal = None

    def kill(self) -> None:
        """Kill the demo and the shell, but none of the processes that the demo started."""
        for number in (self._shell.pid, *self.processes()):
            with suppress(OSError):  # a process of the set-up may have just ended
                if b"replica\0demo" in Path(f"/proc/{number}/cmdline").read_bytes():
                    os.kill(number, signal.SIGKILL)

    def end(self) -> None:
        """Kill everything that still runs."""
        for number in self.processes():
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self._shell.wait()
        if self._terminal is not None:
            os.close(self._terminal)

    def has_ended(self) -> bool:
        self.read()
        return self._shell.poll() is not None

    def processes(self) -> list[int]:
        """The processes of this demo that still run."""
        found: list[int] = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.fsencode(self._directory) in (process / "environ").read_bytes():
                    found.append(int(process.name))
        return found

    def leftovers(self) -> list[Path]:
        """The temporary directories that still exist."""
        return list(self._directory.glob("stockstream-*"))


@pytest.fixture
def demo(replica_python: str, tmp_path: Path) -> Iterator[Demo]:
    started = Demo(replica_python, tmp_path, "--seconds", "60")
    yield started
    started.end()


def assert_nothing_is_left(demo: Demo) -> None:
    wait_until(lambda: not demo.processes(), "no process is left", seconds=PROMPTLY)
    wait_until(
        lambda: not demo.leftovers(),
        f"no directory is left: {[list(d.rglob(chr(42))) for d in demo.leftovers()]}",
        seconds=PROMPTLY,
    )


@pytest.mark.parametrize("moment", SETUP_MOMENTS)
def test_ctrl_c_ends_it_promptly_with_one_line_and_its_own_status(demo: Demo, moment: str) -> None:
    demo.wait_for(moment)
    demo.press_ctrl_c()
    pressed = time.monotonic()
    wait_until(demo.has_ended, "the demo ends", seconds=60)
    assert time.monotonic() - pressed < PROMPTLY
    assert "interrupted: the demo ended without a result" in demo.output
    assert "status 130" in demo.output
    assert "Traceback" not in demo.output
    assert "trapped" not in demo.output  # the program that started the demo did not get the signal
    assert_nothing_is_left(demo)


def test_ctrl_c_while_it_runs_drains_it_and_keeps_its_status(demo: Demo) -> None:
    demo.wait_for("running:")
    demo.press_ctrl_c()
    wait_until(demo.has_ended, "the demo ends", seconds=60)
    assert "read back and compared" in demo.output
    assert "status 0" in demo.output
    assert_nothing_is_left(demo)


def test_a_second_ctrl_c_ends_the_drain_at_once(demo: Demo) -> None:
    demo.wait_for("running:")
    demo.press_ctrl_c()
    demo.wait_for("draining")
    demo.press_ctrl_c()
    wait_until(demo.has_ended, "the demo ends", seconds=PROMPTLY)
    assert "status 130" in demo.output
    assert_nothing_is_left(demo)


@pytest.mark.parametrize("moment", MOMENTS)
def test_closing_the_terminal_leaves_nothing(demo: Demo, moment: str) -> None:
    demo.wait_for(moment)
    demo.close_terminal()
    assert_nothing_is_left(demo)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killing_it_leaves_nothing(demo: Demo, moment: str) -> None:
    demo.wait_for(moment)
    demo.kill()
    assert_nothing_is_left(demo)
