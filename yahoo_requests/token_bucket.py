"""A token bucket: limits the rate of requests, and allows short bursts."""

from __future__ import annotations


class TokenBucket:
    """A bucket of up to `burst` tokens. It starts full and gains `per_second` tokens a second. Not thread-safe.

    In any span of t seconds at most `burst + per_second * t` tokens are taken. Times are monotonic seconds. A time
    earlier than a previous one counts as the previous one. Raises `ValueError` for a rate or burst that would never
    let a request through.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        if not per_second > 0 or burst < 1:
            raise ValueError(
                f"{per_second} requests a second with bursts of {burst} let no request through: both must be positive"
            )
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._filled_at: float | None = None

    def take(self, now: float) -> float:
        """Take a token and return 0. If there is none, take nothing and return the seconds until there is one."""
        if self._filled_at is not None and now > self._filled_at:
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now if self._filled_at is None else max(now, self._filled_at)
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        # A clock that was set back must catch up first, so count from `now`. Never return 0: the caller would spin.
        return max(self._filled_at - now + (1 - self._tokens) / self._per_second, 1e-3)
