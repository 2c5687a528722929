"""A producer that is killed between the commit of its quotes and their entries in the accepted log.

`python -m tests.fakes.killed_producer CALL SHARE` runs it. The process kills itself at that call of the accepted log,
after a share (0 to 1) of the entries is written.
"""

from __future__ import annotations

import os
import signal
import sys

from producer_service.accepted_log import AcceptedLog
from producer_service.cli import run_until_stopped
from producer_service.sources.registry import SOURCES


def main() -> None:
    fatal_call, share = int(sys.argv[1]), float(sys.argv[2])
    original, calls = AcceptedLog.write, 0

    def write(log: AcceptedLog, entries: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls == fatal_call:
            assert log._file is not None
            log._file.write(entries[: int(len(entries) * share)])
            os.kill(os.getpid(), signal.SIGKILL)
        original(log, entries)

    AcceptedLog.write = write  # type: ignore[assignment,method-assign]
    run_until_stopped(SOURCES)


if __name__ == "__main__":
    main()
