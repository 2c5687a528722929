"""A clock for smoke tests that moves only when somebody sleeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from smoke.deadline import Clock

START = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


@dataclass
class StillClock:
    seconds: float = 0.0

    def clock(self) -> Clock:
        return Clock(lambda: self.seconds, lambda: START + timedelta(seconds=self.seconds), self.pass_by)

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds
