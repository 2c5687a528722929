"""A token bucket: so many requests at once, and so many a second in the long run."""

from __future__ import annotations

from producer_service.errors import ConfigurationError


class TokenBucket:
    """Holds up to `burst` tokens, full at first, and gains `per_second` of them. Not thread-safe.

    Over any span of t seconds at most `burst + per_second * t` tokens are taken. Times are seconds of any origin; one
    that lies before an earlier one counts as that. Raises `ConfigurationError` for a bucket that would never fill.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        if not per_second > 0 or burst < 1:
            raise ConfigurationError([f"{per_second} requests a second and {burst} at once let no request through"])
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._filled_at: float | None = None

    def take(self, now: float) -> float:
        """Take a token and return 0; or, if there is none, take nothing and return the seconds until there is one."""
        if self._filled_at is not None and now > self._filled_at:
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now if self._filled_at is None else max(now, self._filled_at)
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        # From `now`, since a clock that went back has first to catch up. Never 0, or its caller would spin.
        return max(self._filled_at - now + (1 - self._tokens) / self._per_second, 1e-3)
