"""A demo in a terminal of its own, as a person starts and ends it."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.support import demos
from tests.support.waiting import wait_until
from workspace.places import ROOT


class Demo:
    """A demo in a terminal of its own, started by a shell as `make` starts it: in the process group of the shell."""

    def __init__(self, python: str, directory: Path, *options: str) -> None:
        """Start a demo whose temporary files are in a directory."""
        self._directory = directory
        self._terminal: int | None
        self._terminal, terminal = pty.openpty()
        command = " ".join([python, "-m", "replica", "demo", *options])
        # A shell that ignores the end of its terminal, as under nohup, would not pass it on to the demo.
        before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self._shell = subprocess.Popen(
            ["setsid", "--ctty", "sh", "-c", f"trap 'echo trapped' INT; {command}; echo status $?; exit 0"],
            cwd=ROOT,
            env=demos.environment(directory, COLUMNS="200", LINES="50", TERM="xterm"),
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )
        signal.signal(signal.SIGHUP, before)
        os.close(terminal)
        os.set_blocking(self._terminal, False)
        self.output = ""

    def read(self) -> str:
        """Everything that the demo has printed so far."""
        if self._terminal is None:
            return self.output
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

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the demo, unless it has ended."""
        children = Path(f"/proc/{self._shell.pid}/task/{self._shell.pid}/children")
        with suppress(OSError):
            for child in children.read_text(encoding="ascii").split():
                os.kill(int(child), number)

    def kill(self) -> None:
        """Kill the demo and the shell, but none of the processes that the demo started."""
        self.send(signal.SIGKILL)
        self._shell.kill()

    def end(self) -> None:
        """Kill everything that still runs."""
        for number in self.processes():
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self._shell.wait()
        if self._terminal is not None:
            self.close_terminal()

    def has_ended(self) -> bool:
        """Whether the demo and its shell have ended."""
        self.read()
        return self._shell.poll() is not None

    @property
    def status(self) -> int | None:
        """The exit status of the demo, if its terminal has shown it."""
        found = re.findall(r"^status (\d+)", self.output, re.MULTILINE)
        return int(found[-1]) if found else None

    def processes(self) -> list[int]:
        """The processes of this demo that still run."""
        return processes_of(self._directory)

    def leftovers(self) -> list[Path]:
        """The temporary directories that still exist."""
        return list(self._directory.glob("stockstream-*"))


def processes_of(directory: Path) -> list[int]:
    """The running processes of the demos whose temporary files are in a directory."""
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.fsencode(directory) in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found
