"""A circuit breaker as a value: whether a source may be polled. Pure: time and randomness are arguments.

Its times are those of a clock that does not step, or a pause would last for months after the clock is set.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec

PollOutcome = Literal["answered", "rate_limited", "unauthorized", "failed"]
"""The result of a poll for the breaker: at least one request succeeded, the source refused us for asking too often,
it refused us for lack of credentials, or every request failed."""

Permission = Literal["all", "probe", "none"]
"""What a poll may request: everything, everything once a single request has succeeded, or nothing."""

JITTER = 0.2
"""The most by which a pause exceeds its backoff, as a fraction. Clients refused together do not return together."""

_MAX_DOUBLINGS = 30


class BreakerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a breaker opens, and for how long.

    Pauses last minutes because Yahoo blocks a client for minutes to hours, and sends no Retry-After (yfinance #2422).
    """

    first_pause: timedelta = timedelta(minutes=1)
    longest_pause: timedelta = timedelta(hours=1)
    unauthorized_threshold: int = 2
    """This many unauthorized polls in a row open the breaker. A single one may be a bad crumb (yfinance #2441)."""
    failure_threshold: int = 3
    """This many unsuccessful polls in a row open the breaker, whatever the reasons."""


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """A circuit breaker. It starts closed. Each method returns a value and changes nothing.

    A rate-limited poll opens it at once. Unauthorized and failed polls open it when several follow each other. After a
    pause, any poll that is not answered opens it again, for twice as long. A poll that is answered closes it, and the
    next pause is as short as the first.
    """

    policy: BreakerPolicy = BreakerPolicy()
    pauses: int = 0
    """The number of pauses since a poll was last answered."""
    paused_until: datetime | None = None
    """The end of the last pause. None while the breaker is closed."""
    unauthorized_in_a_row: int = 0
    failures_in_a_row: int = 0
    """The number of polls since one was last answered."""

    def permits(self, now: datetime) -> Permission:
        """What a poll at this time may request."""
        if self.paused_until is None:
            return "all"
        return "none" if now < self.paused_until else "probe"

    def after(self, outcome: PollOutcome, now: datetime, jitter: float) -> Breaker:
        """The breaker after a permitted poll that ended at `now`. `jitter` is a random number from 0 to 1."""
        if outcome == "answered":
            return Breaker(policy=self.policy)
        unauthorized = self.unauthorized_in_a_row + 1 if outcome == "unauthorized" else 0
        failures = self.failures_in_a_row + 1
        policy = self.policy
        opens = (
            self.pauses > 0
            or outcome == "rate_limited"
            or unauthorized >= policy.unauthorized_threshold
            or failures >= policy.failure_threshold
        )
        if not opens:
            return msgspec.structs.replace(self, unauthorized_in_a_row=unauthorized, failures_in_a_row=failures)
        backoff = min(policy.longest_pause, policy.first_pause * 2 ** min(self.pauses, _MAX_DOUBLINGS))
        return Breaker(
            policy=policy,
            pauses=self.pauses + 1,
            paused_until=now + backoff * (1 + JITTER * jitter),
            unauthorized_in_a_row=unauthorized,
            failures_in_a_row=failures,
        )
