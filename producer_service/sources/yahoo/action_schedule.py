"""Decides which symbols to ask for their corporate actions, and when. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from quotes import Quote
from yahoo_requests.token_bucket import TokenBucket

START_SECONDS = 15.0
"""From the first poll to the first request. Quotes come first, and a process that ends soon asks for nothing."""
REPEAT_SECONDS = 18 * 3_600.0
"""From one answer to the next request: once on each trading day, soon after the open."""
RETRY_SECONDS = 3_600.0
"""From a failure to the next request."""
JUMP_SECONDS = 600.0
"""From an answer to the next request, if the price jumps."""
JUMP = 0.2
"""A price that changes by more than this fraction from one poll to the next may be that of a split share."""
REQUESTS_PER_SECOND = 0.2
"""The average rate of requests, a tenth of that for quotes: 1,000 symbols in 83 minutes."""
REQUESTS_BURST = 4


class ActionSchedule:
    """Chooses among the symbols of each poll those that are due, longest due first. Not thread-safe.

    Times are monotonic seconds. After a start every symbol is asked for, a few with each poll. A symbol whose price
    jumps comes before the others. The schedule is in memory alone, and a restart begins it anew.
    """

    def __init__(
        self,
        per_second: float = REQUESTS_PER_SECOND,
        burst: int = REQUESTS_BURST,
        start_seconds: float = START_SECONDS,
    ) -> None:
        self._bucket = TokenBucket(per_second, burst)
        self._start_seconds = start_seconds
        self._starts_at: float | None = None
        self._due: dict[str, float] = {}
        self._answered_at: dict[str, float] = {}
        self._prices: dict[str, float] = {}

    def choose(self, quotes: Sequence[Quote], now: float) -> tuple[str, ...]:
        """The symbols to ask now, among those of a poll's quotes that may have actions."""
        for quote in quotes:
            symbol, price = quote.symbol, float(quote.price)
            before = self._prices.get(symbol, price)
            if abs(price - before) > JUMP * abs(before):
                answered_at = self._answered_at.get(symbol, -JUMP_SECONDS - 1)
                self._due[symbol] = min(self._due.get(symbol, 0.0), answered_at + JUMP_SECONDS)
            self._prices[symbol] = price
        if self._starts_at is None:
            self._starts_at = now + self._start_seconds
        if now < self._starts_at:
            return ()
        due = sorted((due, quote.symbol) for quote in quotes if (due := self._due.get(quote.symbol, 0.0)) <= now)
        chosen = []
        for _, symbol in due:
            if self._bucket.take(now) > 0:
                break
            chosen.append(symbol)
        return tuple(chosen)

    def answered(self, symbol: str, now: float, again_in: float | None = None) -> None:
        """Record an answer. `again_in` are the seconds to an action in the future, which is then asked for."""
        self._answered_at[symbol] = now
        self._due[symbol] = now + min(REPEAT_SECONDS, REPEAT_SECONDS if again_in is None else again_in)

    def failed(self, symbol: str, now: float) -> None:
        """Record a failure."""
        self._due[symbol] = now + RETRY_SECONDS
