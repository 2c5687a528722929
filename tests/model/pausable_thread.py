"""A thread that runs only while another one waits for it, so that a run is deterministic."""

from __future__ import annotations

import threading
from collections.abc import Callable


class PausableThread:
    """Work that can pause in the middle. Its thread only runs while `resume` waits for it."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._resumed, self._paused = threading.Lock(), threading.Lock()
        self._resumed.acquire()
        self._paused.acquire()
        self.is_done = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def resume(self) -> None:
        """Let it run until it pauses again or ends."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._resumed.release()
        self._paused.acquire()

    def pause(self) -> None:
        """Wait for the next `resume`. The work calls this."""
        self._paused.release()
        self._resumed.acquire()

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self.is_done = True
            self._paused.release()
