"""What Ctrl-C, SIGTERM and the end of the terminal do to the demo.

- While the pipeline runs, the first Ctrl-C or SIGTERM asks the demo to drain.
- At any other moment, the second time, or at the end of the terminal, where nobody would read the result, a signal
  raises `KeyboardInterrupt`: everything ends at once and is removed.
- The next one ends the program without a further step, and so does a clean-up that takes too long. The watchdog then
  removes what is left (`replica.watchdog`).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CLEAN_UP_SECONDS = 10
"""How long the clean-up after a `KeyboardInterrupt` may take."""
HANG_UP_SECONDS = 3
"""The same at the end of the terminal, where nobody sees the exit status. The watchdog does the rest."""


class Interrupts:
    """Handles the signals of this process for as long as a `with` block lasts. Use it in the main thread only.

    An error that follows from an interrupt leaves the block as a `KeyboardInterrupt` too.
    """

    def __init__(self) -> None:
        self.asked_to_drain = False
        """Whether a signal came in a block `draining`. No event, whose lock the handler might find taken."""
        self._drains = False
        self._has_raised = False

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._has_raised and isinstance(error, Exception):
            # Code that is interrupted halfway, such as the one that draws, may fail at its clean-up.
            raise KeyboardInterrupt from error

    @contextmanager
    def draining(self) -> Iterator[None]:
        """Let the first signal set `asked_to_drain` instead of raising, for as long as the block lasts."""
        self._drains = True
        try:
            yield
        finally:
            self._drains = False

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._drains and not self.asked_to_drain and number != signal.SIGHUP:
            self.asked_to_drain = True
            return
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self._has_raised = True
        # The default of this signal is to end the process.
        signal.alarm(HANG_UP_SECONDS if number == signal.SIGHUP else CLEAN_UP_SECONDS)
        raise KeyboardInterrupt


@contextmanager
def foreground() -> Iterator[None]:
    """Make this process the only one that Ctrl-C reaches, if another program, such as `make`, runs it in a terminal.

    `make` would end with an error of its own at Ctrl-C, whatever the status of the program that it runs. A shell that
    runs this process directly has done this already.
    """
    terminal = sys.stdin.fileno() if sys.stdin.isatty() else None
    if terminal is None or os.getpid() == os.getpgrp() or os.tcgetpgrp(terminal) != os.getpgrp():
        yield
        return
    group = os.getpgrp()
    os.setpgid(0, 0)
    # A stop by Ctrl-Z would not reach the other program, which the shell waits for.
    ignored = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTTOU, signal.SIGTSTP)}
    os.tcsetpgrp(terminal, os.getpid())
    try:
        yield
    finally:
        with suppress(OSError):  # the terminal may be gone
            os.tcsetpgrp(terminal, group)
        for number, handler in ignored.items():
            signal.signal(number, handler)
