"""What goes wrong between a producer and Kinesis: how often each fault comes, and what becomes of one request. Pure."""

from __future__ import annotations

from enum import StrEnum
from random import Random

import msgspec


class Fate(StrEnum):
    """What becomes of a request."""

    ANSWERED = "answered"
    """Stored and answered; each record may still fail on its own."""
    SLOW = "slow"
    """The same, after a while that the client's patience should outlast."""
    THROTTLED = "throttled"
    """Nothing stored: 400 ProvisionedThroughputExceededException for the whole request."""
    FAILED = "failed"
    """Nothing stored: 500 InternalFailure."""
    REFUSED = "refused"
    """Nothing stored: the connection is reset, without an answer."""
    UNANSWERED = "unanswered"
    """Stored, and never answered: the client's read times out."""
    RESET = "reset"
    """Stored, and the connection is reset, without an answer."""
    CLOSED = "closed"
    """Stored, and the connection is closed in the middle of the answer."""

    @property
    def is_stored(self) -> bool:
        """Whether the request's records are taken."""
        return self not in (Fate.THROTTLED, Fate.FAILED, Fate.REFUSED)

    @property
    def hides_its_answer(self) -> bool:
        """Whether the sender cannot know that the records were taken."""
        return self in (Fate.UNANSWERED, Fate.RESET, Fate.CLOSED)


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """The share of requests that each fate takes; the rest are answered."""

    seed: int = 1
    slow: float = 0.0
    throttled: float = 0.0
    failed: float = 0.0
    refused: float = 0.0
    unanswered: float = 0.0
    reset: float = 0.0
    closed: float = 0.0
    records: float = 0.0
    """The share of a request's records that fail on their own, whatever the request's fate."""
    slow_seconds: float = 0.2
    """The longest that a slow answer takes."""
    reshard_every: int = 0
    """Requests from one reshard to the next; 0 is never."""


NONE = Faults()
ISSUE = Faults(
    slow=0.04,
    throttled=0.04,
    failed=0.04,
    refused=0.03,
    unanswered=0.03,
    reset=0.03,
    closed=0.03,
    records=0.10,
    reshard_every=200,
)
"""A tenth of all records fail, and several per cent of requests meet each other fault."""


class Dice:
    """Seeded chance: the same faults and the same order of requests have the same fates."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._random = Random(faults.seed)

    def fate(self) -> Fate:
        """What becomes of the next request."""
        drawn = self._random.random()
        for fate in Fate:
            share = 0.0 if fate is Fate.ANSWERED else getattr(self.faults, fate)
            if drawn < share:
                return fate
            drawn -= share
        return Fate.ANSWERED

    def record_error(self) -> str | None:
        """Why the next record fails on its own; None if it does not."""
        if self._random.random() >= self.faults.records:
            return None
        return self._random.choice(("ProvisionedThroughputExceededException", "InternalFailure"))

    def delay(self) -> float:
        """Seconds until the next slow answer."""
        return self._random.random() * self.faults.slow_seconds
