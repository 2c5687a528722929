"""Waits for something within a time limit. The clock is an argument, so that tests do not wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from smoke.verdicts import Failed, Verdict

LOOK_SECONDS = 3.0
"""The time between two looks. AWS's cheap calls allow several a second."""


@dataclass(frozen=True)
class Clock:
    """Where the time comes from."""

    monotonic: Callable[[], float]
    """Seconds that never step."""
    now: Callable[[], datetime]
    """The time of day, in UTC."""
    sleep: Callable[[float], None]


@dataclass(frozen=True)
class Deadline:
    """The end of a step's time."""

    clock: Clock
    ends_at: float
    look_seconds: float = LOOK_SECONDS

    @property
    def seconds_left(self) -> float:
        """How much time is left; 0 if none is."""
        return max(0.0, self.ends_at - self.clock.monotonic())

    def until(self, look: Callable[[], Verdict]) -> Verdict:
        """Look again and again until the verdict is no failure. At the end of the time, the last failure counts."""
        while isinstance(verdict := look(), Failed) and self.seconds_left > 0:
            self.clock.sleep(min(self.look_seconds, self.seconds_left))
        return verdict
