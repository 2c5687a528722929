"""Liveness and readiness. A failing source affects neither."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

STREAM = "the stream"
JOURNAL = "the journal"
REMOVAL = "the removal of delivered quotes from the journal"
SYNC = "the sync of the journal"
ACCEPTED_LOG = "the accepted log"
HANDOVER = "the handover store"
WATCHLIST = "the watchlist"
LOG_SECONDS = 60.0
"""How often lasting trouble is logged."""
ANSWER_SECONDS = 12.0
"""A request without an answer for this long makes the producer unready, before the request itself has failed."""


class Verdict(msgspec.Struct, frozen=True):
    """The answer of /healthz or /readyz."""

    ok: bool
    reason: str


class Health:
    """Knows whether the loops advance, and whether everything that the producer needs answers. Thread-safe.

    `monotonic` returns seconds from any origin.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._beats: dict[str, float] = {}
        self._limits: dict[str, float] = {}
        self._troubles = {STREAM: "has not been asked yet"}
        self._logged_at: dict[str, float] = {}
        self._asked: dict[int, tuple[str, float]] = {}
        self._asked_count = 0

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
        if is_alive:
            self.works(STREAM)
        else:
            self.fails(STREAM, detail)

    def fails(self, subject: str, detail: str) -> bool:
        """Record that something which the producer needs failed the last time. Returns whether to log it now."""
        with self._lock:
            self._troubles[subject] = f"fails: {detail[:300]}"
            now = self._monotonic()
            if now - self._logged_at.get(subject, float("-inf")) < LOG_SECONDS:
                return False
            self._logged_at[subject] = now
            return True

    def works(self, subject: str) -> None:
        """Record that something which the producer needs worked the last time."""
        if subject in self._troubles:  # the usual case takes no lock
            with self._lock:
                self._troubles.pop(subject, None)

    @contextmanager
    def asking(self, subject: str) -> Iterator[None]:
        """Record that a request is under way. It may hang."""
        with self._lock:
            self._asked_count += 1
            question = self._asked_count
            self._asked[question] = subject, self._monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._asked.pop(question, None)

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
        """Whether everything that the producer needs worked the last time, and answers in time."""
        with self._lock:
            now = self._monotonic()
            reasons = [f"{subject} {trouble}" for subject, trouble in self._troubles.items()]
            silent = {
                subject: now - asked_at for subject, asked_at in self._asked.values() if now - asked_at > ANSWER_SECONDS
            }
        reasons += [f"{subject} has not answered for {seconds:.0f} s" for subject, seconds in silent.items()]
        return Verdict(not reasons, "; ".join(reasons) or "the stream answers")
