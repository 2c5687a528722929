"""A circuit breaker as a value: when to send a source no requests. Pure: time and jitter are arguments."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec

PollOutcome = Literal["answered", "rate_limited", "unauthorized", "failed"]
"""How a poll ended.

- `rate_limited`: refused, because there were too many requests.
- `unauthorized`: refused, because of who asks.
- `failed`: no request was answered, for another reason.
- `answered`: anything else.
"""

Permission = Literal["all", "probe", "none"]
"""What a poll may ask: everything, the rest only after a single request was answered, or nothing."""

JITTER = 0.2
"""A pause is longer than its backoff by up to this share. So clients that were refused together return one by one."""

_MAX_DOUBLINGS = 30


class BreakerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a breaker opens, and for how long.

    Pauses take minutes, since Yahoo's blocks last minutes to hours, and it sends no Retry-After (yfinance #2422).
    """

    first_pause: timedelta = timedelta(minutes=1)
    longest_pause: timedelta = timedelta(hours=1)
    unauthorized_polls: int = 2
    """The breaker opens after this many unauthorized polls in a row. One may be due to a crumb that was refused by
    chance (yfinance #2441)."""
    failed_polls: int = 3
    """The breaker opens after this many polls in a row that were not answered, for whatever reason."""


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """A breaker, closed at first. Its methods return a value and change nothing.

    It opens at once after a rate-limited poll, and after some unauthorized or failed polls in a row. Each pause is
    twice as long as the one before. An answered poll closes the breaker, and the next pause is the first again.
    """

    policy: BreakerPolicy = BreakerPolicy()
    pauses: int = 0
    """How often the breaker has opened since the last answered poll."""
    opened_at: datetime | None = None
    paused_until: datetime | None = None
    unauthorized: int = 0
    """The number of unauthorized polls in a row."""
    failed: int = 0
    """The number of polls in a row that were not answered."""

    def permits(self, now: datetime) -> Permission:
        """What a poll at this time may ask. If the clock was set back to before the pause began, the pause is over."""
        if self.opened_at is None or self.paused_until is None:
            return "all"
        return "none" if self.opened_at <= now < self.paused_until else "probe"

    def after(self, outcome: PollOutcome, now: datetime, jitter: float) -> Breaker:
        """The breaker after a permitted poll that ended `now`. `jitter` is from 0 to 1."""
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
