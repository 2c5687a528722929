"""The clocks of a simulated host, for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from producer_service.clock import Clock
from tests.support.quotes import OPEN

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Host:
    """A machine whose own clock may be wrong, in a world whose true time is known."""

    def __init__(self, start: datetime = OPEN, *, error: float = 0.0) -> None:
        self.start = start
        self.uptime = 1000.0
        self.error = error
        """By how many seconds the clock of the machine is ahead of the truth."""
        self.clock = Clock(host=self.wall, uptime=lambda: self.uptime)

    def wall(self) -> float:
        return (self.truth - EPOCH).total_seconds() + self.error

    @property
    def truth(self) -> datetime:
        return self.start + timedelta(seconds=self.uptime - 1000.0)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.uptime += seconds

    def step(self, seconds: float) -> None:
        """Set the clock of the machine forward, or back."""
        self.error += seconds

    def ask_service(self, *, took: float = 0.0) -> None:
        """Have the service answer with the true time, which it writes when half of the request is over."""
        asked_at = self.clock.uptime()
        self.run(took / 2)
        date = self.truth.replace(microsecond=0)
        self.run(took / 2)
        self.clock.told(date, asked_at)

    def wrong_by(self) -> float:
        """By how many seconds the producer's clock is ahead of the truth."""
        return (self.clock.now() - self.truth).total_seconds()
