"""Draws on a terminal's alternate screen, and leaves the terminal as it was, however this process ends.

The alternate screen keeps a drawing apart from what the terminal showed before, and from its scrollback. The mode of
the keyboard is not changed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from rich.console import Console
from rich.text import Text

DRAWINGS_A_SECOND = 2
_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _CUT_LINES, _WRAP_LINES = "\x1b[H", "\x1b[?7l", "\x1b[?7h"
"""While a drawing is written, a line that is too wide for a window that just shrank is cut, and scrolls nothing."""

Draw = Callable[[int, int], list[Text]]
"""Makes the lines for a width and a height."""


def can_draw(console: Console) -> bool:
    """Whether a console is a terminal with an alternate screen. Variables such as FORCE_COLOR do not make it one."""
    return console.is_interactive and not console.legacy_windows and console.file.isatty()


@contextmanager
def drawing(console: Console, draw: Draw) -> Iterator[None]:
    """Draw several times a second, in the size that the window has then, for as long as the block lasts."""
    terminal = console.file.fileno()
    # Another process leaves the screen once its input is closed. So that happens once, whatever ends this process.
    keeper = subprocess.Popen(  # noqa: S603  (a constant)
        ["/bin/sh", "-c", 'read -r _; printf "$0"', _LEAVE.replace("\x1b", "\\033")],
        stdin=subprocess.PIPE,
        stdout=terminal,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that no key of the terminal reaches it
    )
    painter = _Painter(console, draw)
    try:
        painter.start()
        with _suspendable(painter):
            yield
    finally:
        try:
            painter.stop()
        finally:
            painter.stop()  # again, since a signal may have cut the first one short
        assert keeper.stdin is not None  # noqa: S101  (Popen was called with stdin=PIPE)
        keeper.stdin.close()
        keeper.wait()


class _Painter:
    def __init__(self, console: Console, draw: Draw) -> None:
        self._console = console
        self._draw = draw
        self._stopping = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)

    def start(self) -> None:
        self._write(_ENTER)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def suspend(self) -> None:
        """Leave the screen while this process is stopped."""
        with self._writing:
            self._write(_LEAVE)
            os.kill(os.getpid(), signal.SIGSTOP)
            self._write(_ENTER)

    def _run(self) -> None:
        with suppress(OSError):  # the terminal has gone, and a signal tells the main thread so
            while not self._stopping.is_set():
                with self._writing:
                    self._write(self._drawing())
                self._stopping.wait(1 / DRAWINGS_A_SECOND)

    def _drawing(self) -> str:
        width, height = self._console.size
        with self._console.capture() as captured:
            self._console.print(Text("\n").join(self._draw(width, height)), soft_wrap=True, end="")
        return f"{_CUT_LINES}{_HOME}{captured.get()}{_WRAP_LINES}"

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()


@contextmanager
def _suspendable(painter: _Painter) -> Iterator[None]:
    """Let Ctrl-Z leave the screen, unless it is ignored."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTSTP) != signal.SIG_DFL:
        yield
        return

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        painter.suspend()

    before = signal.signal(signal.SIGTSTP, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)
