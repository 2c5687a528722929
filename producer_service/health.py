"""Liveness and readiness. A failing source affects neither."""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec


class Verdict(msgspec.Struct, frozen=True):
    """The answer of /healthz or /readyz."""

    ok: bool
    reason: str


class Health:
    """Knows whether the loops advance and whether the stream answers. Thread-safe.

    `monotonic` returns seconds from any origin.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._beats: dict[str, float] = {}
        self._limits: dict[str, float] = {}
        self._stream = Verdict(ok=False, reason="the stream has not been asked yet")

    def expect(self, loop: str, within_seconds: float) -> None:
        """Expect a beat of a loop at least this often from now on."""
        with self._lock:
            self._limits[loop] = within_seconds
            self._beats[loop] = self._monotonic()

    def release(self, loop: str) -> None:
        """Expect no more beats of a loop, because it has ended."""
        with self._lock:
            self._limits.pop(loop, None)

    def beat(self, loop: str) -> None:
        """Record that a loop advances."""
        with self._lock:
            self._beats[loop] = self._monotonic()

    def stream_answered(self, *, is_alive: bool, detail: str = "") -> None:
        """Record the result of the last request to the stream."""
        with self._lock:
            self._stream = Verdict(is_alive, "the stream answers" if is_alive else f"the stream fails: {detail[:300]}")

    def liveness(self) -> Verdict:
        """Whether every loop that is expected to advance does."""
        with self._lock:
            now = self._monotonic()
            stuck = [
                f"{loop} has not advanced for {now - self._beats[loop]:.0f} s"
                for loop, limit in self._limits.items()
                if now - self._beats[loop] > limit
            ]
        return Verdict(not stuck, "; ".join(stuck) or "the loops advance")

    def readiness(self) -> Verdict:
        """Whether the stream answered the last request."""
        with self._lock:
            return self._stream
