"""Temporary directories whose processes end with them: in order, when the program is killed, or at the next start.

- A program that ends in order removes its directory and ends its processes itself.
- If it is killed, its watchdog does both.
- If the watchdog is killed too, the next program finds the directory, because nobody holds its lock.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from replica import watchdog
from replica.errors import ReplicaError

PREFIX = "stockstream-"
_LOCK = ".lock"


class Scratch:
    """A temporary directory for as long as a `with` block lasts. `path` is set when the block is entered.

    Entering raises `ReplicaError` if the directory cannot be made.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.path = Path()

    def __enter__(self) -> Self:
        # The watchdog makes the directory, so that no signal can come between the directory and its watchdog. It also
        # finds the folder of temporary files, where Python tries to make a file. It has a session of its own, so that
        # neither Ctrl-C nor the end of the terminal ends it.
        self._watchdog = subprocess.Popen(  # noqa: S603  (no shell)
            [sys.executable, "-I", "-S", watchdog.__file__, f"{PREFIX}{self._name}-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        assert self._watchdog.stdout is not None  # noqa: S101  (Popen was called with stdout=PIPE)
        with self._watchdog.stdout as answer:
            path = answer.read()
        if not path:
            self._watchdog.communicate()
            folder = tempfile.gettempdir()
            raise ReplicaError(
                f"no directory can be made in {folder}: free some space there, or let TMPDIR name another folder"
            )
        self.path = Path(os.fsdecode(path))
        self._lock = (self.path / _LOCK).open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        watchdog.remove(self.path)
        self._lock.close()
        with suppress(OSError):
            self._watchdog.communicate()

    def end_with_us(self, session: int) -> None:
        """End a session when this program dies. `session` is the process that leads it (`start_new_session`)."""
        assert self._watchdog.stdin is not None  # noqa: S101  (Popen was called with stdin=PIPE)
        with suppress(OSError):
            self._watchdog.stdin.write(f"{session}\n".encode())
            self._watchdog.stdin.flush()


def remove_leftovers() -> list[str]:
    """End the processes and remove the directories of programs that are gone. Returns what was found, in words."""
    found: list[str] = []
    for lock in sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{_LOCK}")):
        try:
            with lock.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                killed = watchdog.remove(lock.parent)
        except OSError:  # a program holds the lock, or another one has just removed the directory
            continue
        processes = f", and ended {killed} of its processes" if killed else ""
        found.append(f"removed {lock.parent}, which an earlier run left behind{processes}")
    return found
