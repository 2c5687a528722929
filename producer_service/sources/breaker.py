"""When to leave a source alone: a circuit breaker as a value. Pure; time and chance are arguments."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec

PollOutcome = Literal["answered", "rate_limited", "unauthorized", "failed"]
"""What became of a poll: refused for asking too much, refused for who asks, not one request answered, or else."""

Permission = Literal["all", "probe", "none"]
"""What a poll may ask: all it wants, the rest only once a single request was answered, or nothing."""

JITTER = 0.2
"""By how much a pause may be longer than its backoff, lest all that were refused together return together."""

_MAX_DOUBLINGS = 30


class BreakerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a breaker opens, and for how long.

    Minutes, since Yahoo's blocks last minutes to hours and it sends no Retry-After (yfinance #2422).
    """

    first_pause: timedelta = timedelta(minutes=1)
    longest_pause: timedelta = timedelta(hours=1)
    unauthorized_polls: int = 2
    """So many in a row open it: one may be a crumb that was refused by chance (yfinance #2441)."""
    failed_polls: int = 3
    """So many in a row that brought nothing, whatever the reason, open it."""


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """Closed at first. Each method returns a value and changes nothing.

    It opens at once when a poll is rate limited, and after some unauthorized or failed ones in a row. Its pauses double
    from one to the next until a poll is answered: that closes it, and the next pause is the first again.
    """

    policy: BreakerPolicy = BreakerPolicy()
    pauses: int = 0
    """How often it opened since a poll was last answered."""
    opened_at: datetime | None = None
    paused_until: datetime | None = None
    unauthorized: int = 0
    """Polls in a row."""
    failed: int = 0
    """Polls in a row that were not answered."""

    def permits(self, now: datetime) -> Permission:
        """What a poll at this time may ask. A clock that was set back to before the pause ends it."""
        if self.opened_at is None or self.paused_until is None:
            return "all"
        return "none" if self.opened_at <= now < self.paused_until else "probe"

    def after(self, outcome: PollOutcome, now: datetime, jitter: float) -> Breaker:
        """The breaker after a poll that it permitted and that ended `now`; `jitter` is between 0 and 1."""
        if outcome == "answered":
            return Breaker(policy=self.policy)
        unauthorized = self.unauthorized + 1 if outcome == "unauthorized" else 0
        failed = self.failed + 1
        policy = self.policy
        opens = (
            self.pauses > 0
            or outcome == "rate_limited"
            or unauthorized >= policy.unauthorized_polls
            or failed >= policy.failed_polls
        )
        if not opens:
            return msgspec.structs.replace(self, unauthorized=unauthorized, failed=failed)
        backoff = min(policy.longest_pause, policy.first_pause * 2 ** min(self.pauses, _MAX_DOUBLINGS))
        return Breaker(
            policy=policy,
            pauses=self.pauses + 1,
            opened_at=now,
            paused_until=now + backoff * (1 + JITTER * jitter),
            unauthorized=unauthorized,
            failed=failed,
        )
