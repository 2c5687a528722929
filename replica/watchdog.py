"""Ends processes and removes their directory when the program that started them dies, however it dies.

This file is also the watchdog's program, which `replica.scratch` starts. It gets the directory as its argument, and
the sessions to kill as lines of its input. Only the program that started it holds the other end of that pipe, so the
pipe ends when that program ends. If the directory is still there then, the program did not end in order.

It imports only the standard library, so that it starts quickly and works wherever Python does.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

_PROCESSES = Path("/proc")


def main() -> None:
    """Wait for the end of the input, then clean up what is left."""
    directory = Path(sys.argv[1])
    sessions = [int(line) for line in sys.stdin]
    if directory.is_dir():
        for session in sessions:
            with suppress(OSError):
                os.killpg(session, signal.SIGKILL)
        remove(directory)


def remove(directory: Path) -> int:
    """Kill the processes whose environment names a directory, and remove it. Returns the number of processes.

    It finds no processes on systems without /proc.
    """
    killed = 0
    name = os.fsencode(directory)
    for process in _PROCESSES.glob("[0-9]*"):
        with suppress(OSError):  # the process has ended, or belongs to another user
            if name in (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
                killed += 1
    shutil.rmtree(directory, ignore_errors=True)
    return killed


if __name__ == "__main__":
    main()
