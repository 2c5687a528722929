"""The faults between a producer and Kinesis: how often each occurs, and what becomes of a request. Pure."""

from __future__ import annotations

from enum import StrEnum
from random import Random

import msgspec


class Fate(StrEnum):
    """What becomes of a request."""

    ANSWERED = "answered"
    """It is stored and answered. Each record may still fail on its own."""
    SLOW = "slow"
    """It is stored and answered after a while, within the client's timeout."""
    THROTTLED = "throttled"
    """Nothing is stored: the whole request is answered 400 ProvisionedThroughputExceededException."""
    FAILED = "failed"
    """Nothing is stored: the request is answered 500 InternalFailure."""
    REFUSED = "refused"
    """Nothing is stored: the connection is reset without an answer."""
    UNANSWERED = "unanswered"
    """It is stored and never answered, so the client's read times out."""
    RESET = "reset"
    """It is stored, and the connection is reset without an answer."""
    CLOSED = "closed"
    """It is stored, and the connection is closed in the middle of the answer."""

    @property
    def is_stored(self) -> bool:
        """Whether the request's records are stored."""
        return self not in (Fate.THROTTLED, Fate.FAILED, Fate.REFUSED)

    @property
    def hides_its_answer(self) -> bool:
        """Whether the records are stored and the sender cannot know it."""
        return self in (Fate.UNANSWERED, Fate.RESET, Fate.CLOSED)


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """The share of requests that meet each fate. All others are answered."""

    seed: int = 1
    slow: float = 0.0
    throttled: float = 0.0
    failed: float = 0.0
    refused: float = 0.0
    unanswered: float = 0.0
    reset: float = 0.0
    closed: float = 0.0
    records: float = 0.0
    """The share of records that fail on their own, whatever the fate of their request."""
    slow_seconds: float = 0.2
    """The longest delay of a slow answer."""
    reshard_every: int = 0
    """The number of requests from one reshard to the next; 0 is never."""


NO_FAULTS = Faults()
ALL_FAULTS = Faults(
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
"""A tenth of all records fail, and 3 to 4 percent of the requests meet each other fault."""


class FaultDice:
    """Draws faults by a seed: the same faults and the same order of requests give the same fates."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._random = Random(faults.seed)  # noqa: S311  (no secret depends on it)

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
        """The error code with which the next record fails on its own; None if it does not."""
        if self._random.random() >= self.faults.records:
            return None
        return self._random.choice(("ProvisionedThroughputExceededException", "InternalFailure"))

    def delay(self) -> float:
        """The seconds until the next slow answer is sent."""
        return self._random.random() * self.faults.slow_seconds
