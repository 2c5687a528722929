"""A clock that can be set, stopped and sped up."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Shows the machine's time until it is set."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._start: float | None = None
        self._set_at = 0.0
        self._speed = 1.0

    def now(self) -> float:
        """The time, in seconds since 1970."""
        if self._start is None:
            return self._wall()
        return self._start + (self._monotonic() - self._set_at) * self._speed

    def set(self, start: float | None, speed: float = 1.0) -> None:
        """Run from `start` at `speed` times real time. A speed of 0 stops it. None returns to the machine's time."""
        self._start = start
        self._set_at = self._monotonic()
        self._speed = speed
