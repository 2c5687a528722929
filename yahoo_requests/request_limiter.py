"""Limits the HTTP requests to Yahoo, for quotes, cookies and crumbs: when they may be sent, and how long they take."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from yahoo_requests.errors import FailureReason, SourceError
from yahoo_requests.token_bucket import TokenBucket

REQUESTS_PER_SECOND = 2.0
"""The producer's average rate of requests for quotes: enough for 1,000 symbols every 10 seconds. Yahoo does not publish
its limit."""
TIMEOUT_SECONDS = 5.0
"""The longest that a request for quotes may take."""


class RequestLimiter:
    """Lets a request through when the bucket has a token for it and its poll has time left. Thread-safe.

    A refusal by Yahoo blocks all requests for the rest of the poll: those that other threads are about to send, and
    those that yfinance would send to renew a crumb that it takes for invalid.
    """

    def __init__(
        self,
        bucket: TokenBucket,
        timeout_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
        condition: threading.Condition | None = None,
    ) -> None:
        self._bucket = bucket
        self._timeout_seconds = timeout_seconds
        self._monotonic = monotonic
        self._changed = condition or threading.Condition()
        self._deadline = 0.0
        self._refusal: FailureReason | None = None
        self._stopped = False

    def start_poll(self, seconds: float) -> None:
        """Start a poll whose requests must end within this many seconds. Earlier refusals no longer count."""
        with self._changed:
            self._deadline = self._monotonic() + seconds
            self._refusal = None

    def block(self, reason: FailureReason) -> None:
        """Let no more requests of this poll through, because Yahoo refused one of them."""
        with self._changed:
            self._refusal = self._refusal or reason
            self._changed.notify_all()

    def stop(self) -> None:
        """Let no request through ever again."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def acquire(self, *, counted: bool = True) -> float:
        """Wait for a token, and return the timeout of the request in seconds. Raises `SourceError` if it may not go.

        A request that is not `counted` needs no token, because its rate is limited elsewhere.
        """
        with self._changed:
            while True:
                now = self._monotonic()
                left = self._deadline - now
                if self._stopped:
                    raise SourceError("stopped", "not sent because the source is closed")
                if self._refusal is not None:
                    raise SourceError(self._refusal, "not sent because Yahoo refused another request of this poll")
                if left <= 0:
                    raise SourceError("timeout", "not sent because the poll ran out of time")
                wait = self._bucket.take(now) if counted else 0
                if wait == 0:
                    return min(self._timeout_seconds, left)
                self._changed.wait(min(wait, left))
