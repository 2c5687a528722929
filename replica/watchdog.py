"""Ends processes and removes their directory when the program that started them dies, however it dies.

This file is also the watchdog's program, which `replica.scratch` starts. Its argument is the prefix of the
directory, which it makes. It prints the path, and gets the sessions to kill as lines of its input. Only the program
that started it holds the other end of that pipe, so the pipe ends when that program ends. If the directory is still
there then, the program did not end in order.

It imports only the standard library, so that it starts quickly and works wherever Python does.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_PROCESSES = Path("/proc")
_ATTEMPTS = 100
_PAUSE_SECONDS = 0.05


def main() -> None:
    """Make the directory, wait for the end of the input, then clean up what is left."""
    directory = Path(tempfile.mkdtemp(prefix=sys.argv[1]))
    with suppress(OSError):  # the program that waits for the path may be gone
        os.write(sys.stdout.fileno(), os.fsencode(directory))
        os.close(sys.stdout.fileno())
    sessions = [int(line) for line in sys.stdin]
    if directory.is_dir():
        for session in sessions:
            with suppress(OSError):
                os.killpg(session, signal.SIGKILL)
        remove(directory)


def remove(directory: Path) -> int:
    """Kill the processes whose environment names a directory, and remove it. Returns the number of processes.

    A process that is about to die may still write to the directory, so this tries again for some seconds. It finds no
    processes on systems without /proc.
    """
    killed: set[int] = set()
    for _ in range(_ATTEMPTS):
        killed |= _kill(directory)
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            break
        time.sleep(_PAUSE_SECONDS)
    return len(killed)


def _kill(directory: Path) -> set[int]:
    killed: set[int] = set()
    name = os.fsencode(directory)
    for process in _PROCESSES.glob("[0-9]*"):
        with suppress(OSError):  # the process has ended, or belongs to another user
            if name in (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
                killed.add(int(process.name))
    return killed


if __name__ == "__main__":
    main()
