"""A token bucket, which allows a burst of requests and limits their rate in the long run. Pure."""

from __future__ import annotations

from producer_service.errors import ConfigurationError


class TokenBucket:
    """Holds up to `burst` tokens, is full at first, and gains `per_second` tokens a second. Not thread-safe.

    Over any span of t seconds at most `burst + per_second * t` tokens are taken. Times are seconds from any origin. A
    time before an earlier one counts as that one. Raises `ConfigurationError` for a bucket that would never fill.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        if not per_second > 0 or burst < 1:
            raise ConfigurationError([f"{per_second} requests a second and a burst of {burst} allow no request"])
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._filled_at: float | None = None

    def take(self, now: float) -> float:
        """Take a token and return 0. If there is none, return the seconds to wait before another attempt."""
        if self._filled_at is not None and now > self._filled_at:
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now if self._filled_at is None else max(now, self._filled_at)
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        # It counts from `now`, since a clock that was set back must catch up first. It is never 0, which would make the
        # caller spin.
        return max(self._filled_at - now + (1 - self._tokens) / self._per_second, 1e-3)
