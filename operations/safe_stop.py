"""Lets a command that is asked to stop end where nothing is half done."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SECONDS = 90
"""How long a command may go on to the next checkpoint. ECS, compose and `every-day` wait longer before they kill it."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_NOTICE = b"stopping at the next point where nothing is half done; press Ctrl-C to stop at once\n"


@contextmanager
def stopping_safely() -> Iterator[Callable[[], None]]:
    """Yields a checkpoint: a function that raises `KeyboardInterrupt` after a SIGTERM or a Ctrl-C.

    A second signal raises it at once, and so does a step of more than `STOP_SECONDS`. What a step has then not finished
    is as if the command had been killed. In a thread, which gets no signals, the checkpoint does nothing.
    """
    asked = threading.Event()

    def checkpoint() -> None:
        if asked.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield checkpoint
        return

    def ask(_number: int, _frame: FrameType | None) -> None:
        asked.set()
        for number in (*_SIGNALS, signal.SIGALRM):
            signal.signal(number, signal.default_int_handler)
        signal.alarm(STOP_SECONDS)
        os.write(2, _NOTICE)  # what is printed otherwise may be interrupted by this

    before = {number: signal.signal(number, ask) for number in _SIGNALS}
    alarm = signal.getsignal(signal.SIGALRM)
    try:
        yield checkpoint
    finally:
        signal.alarm(0)
        for number, handler in {**before, signal.SIGALRM: alarm}.items():
            signal.signal(number, handler)
