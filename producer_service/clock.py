"""The producer's clock: the only source of the time. The host's clock may step, so it is not trusted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE_SECONDS = 1.0
"""An HTTP `Date` leaves out the fraction of its second (RFC 9110, section 5.6.7)."""

STEP_SECONDS = 1.0
"""A change of the host's clock by more than this, beyond the time that has passed, is a step."""
TOLERANCE_SECONDS = 2.0
"""How far the host's clock may be away from the time of the service, and still count as right."""
UNCONFIRMED_SECONDS = 60.0
"""How long a step is ignored if no service has ever stated the time, which might confirm it."""


def system_uptime() -> float:
    """Seconds that never step. Unlike those of `time.monotonic`, they count while the machine sleeps.

    Linux counts its sleep in CLOCK_BOOTTIME alone, and macOS in CLOCK_MONOTONIC.
    """
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Clock:
    """Tells the time, whatever the host's clock does. Thread-safe.

    The time is the uptime, which never steps, plus an offset. The offset follows these rules:

    1. At first it is that of the host's clock, and it follows that clock while it runs evenly.
    2. When the host's clock steps, the offset stays as it was, until 3 or 4 decides or the clock steps back.
    3. Each answer of a service (`told`) decides. If the host's clock agrees with the service within
       `TOLERANCE_SECONDS`, the offset follows the host's clock. Otherwise the offset stays if it agrees. If neither
       does, it is the service's, which is behind the truth by at most a second and the time of the answer, and never
       ahead.
    4. If no service has ever answered, a step counts as right after `UNCONFIRMED_SECONDS`.

    So quotes and heartbeats bear the service's time while the host's clock is wrong. The service that counts is
    Kinesis, because the processor compares every line with the time at which Kinesis received it.

    `host` returns the host's clock in seconds since the epoch.
    """

    def __init__(self, *, host: Callable[[], float] = time.time, uptime: Callable[[], float] = system_uptime) -> None:
        self._host = host
        self._uptime = uptime
        self._lock = threading.Lock()
        self._host_offset = self._offset = self._first_offset = host() - uptime()
        self._doubted_since: float | None = None
        """When the host's clock was last found wrong (uptime). None while the offset follows it."""
        self._was_told = False
        self._steps: list[float] = []

    def time(self) -> float:
        """The time in seconds since the epoch."""
        with self._lock:
            return self._look() + self._offset

    def now(self) -> datetime:
        """The time in aware UTC and whole milliseconds."""
        return _EPOCH + timedelta(milliseconds=int(self.time() * 1000))

    def steady(self) -> float:
        """Seconds since the epoch as they were known at the start. They never step, so ages are measured with them."""
        return self._uptime() + self._first_offset

    def uptime(self) -> float:
        """Seconds that never step, from any origin."""
        return self._uptime()

    def told(self, date: datetime, asked_at: float) -> None:
        """A service has just answered with its time. `asked_at` is the `uptime` at which it was asked."""
        with self._lock:
            now = self._look()
            seconds = (date - _EPOCH).total_seconds()
            least = seconds - now
            most = seconds + _DATE_SECONDS - asked_at

            def is_right(offset: float) -> bool:
                return least - TOLERANCE_SECONDS <= offset <= most + TOLERANCE_SECONDS

            self._was_told = True
            if is_right(self._host_offset):
                self._follow_host()
                return
            self._doubted_since = now
            if not is_right(self._offset):
                self._offset = least

    def error(self) -> float:
        """By how many seconds the host's clock is ahead of this clock. 0 while this clock follows it."""
        with self._lock:
            self._look()
            return self._host_offset - self._offset

    def steps(self) -> list[float]:
        """The steps of the host's clock since the last call, in seconds; those forward are positive."""
        with self._lock:
            self._look()
            steps, self._steps = self._steps, []
            return steps

    def _look(self) -> float:
        """Compare the host's clock with the uptime, and return the uptime."""
        now = self._uptime()
        before, self._host_offset = self._host_offset, self._host() - now
        if abs(self._host_offset - before) > STEP_SECONDS:
            self._steps = [*self._steps, self._host_offset - before][-100:]
            self._doubted_since = now
        if self._doubted_since is not None and (
            abs(self._host_offset - self._offset) <= STEP_SECONDS
            or (not self._was_told and now - self._doubted_since >= UNCONFIRMED_SECONDS)
        ):
            self._follow_host()
        elif self._doubted_since is None:
            self._offset = self._host_offset
        return now

    def _follow_host(self) -> None:
        self._doubted_since = None
        self._offset = self._host_offset
