"""What every HTTP request to Yahoo passes, for quotes, cookie or crumb: may it go, and how long may it take."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from producer_service.sources import FailureReason
from producer_service.sources.token_bucket import TokenBucket


class Trouble(Exception):
    """Yahoo gave no reply, for a reason that a poll reports."""

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Gate:
    """Lets a request through when the bucket has a token for it and its poll goes on. Thread-safe.

    A refusal (429) shuts it for the rest of the poll: the requests that other threads had in mind are not sent, nor
    those by which yfinance would mend what it takes for a bad crumb.
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

    def begin(self, seconds: float) -> None:
        """A poll begins, whose requests shall all have ended so many seconds from now. Earlier refusals are over."""
        with self._changed:
            self._deadline = self._monotonic() + seconds
            self._refusal = None

    def refuse(self, reason: FailureReason) -> None:
        """Let nothing more through in this poll, for a reason that Yahoo gave."""
        with self._changed:
            self._refusal = self._refusal or reason
            self._changed.notify_all()

    def stop(self) -> None:
        """Let nothing more through, ever."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def enter(self) -> float:
        """Wait for a token and return the seconds that the request may take. Raises `Trouble` if it must not go."""
        with self._changed:
            while True:
                now = self._monotonic()
                left = self._deadline - now
                if self._stopped:
                    raise Trouble("stopped", "not sent, as the source is closed")
                if self._refusal is not None:
                    raise Trouble(self._refusal, "not sent, as Yahoo refused another request of this poll")
                if left <= 0:
                    raise Trouble("timeout", "not sent, as the time of the poll is up")
                wait = self._bucket.take(now)
                if wait == 0:
                    return min(self._timeout_seconds, left)
                self._changed.wait(min(wait, left))
