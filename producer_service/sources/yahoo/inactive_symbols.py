"""Decides which symbols to request: those without a price for days become inactive, and are retried once a day.

Its times are those of a clock that does not step, or symbols would become inactive whenever the clock is set.

A single miss does not mean that a symbol is dead. Yahoo omits active symbols on holidays and by mistake
(yfinance #2835).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

MIN_MISSES = 10
MIN_DAYS = 3
RETRY_AFTER = timedelta(days=1)

_DAY = timedelta(days=1)


class Misses(msgspec.Struct, frozen=True):
    """The responses in a row that had no price for a symbol."""

    count: int
    days: int
    """The number of days on which the symbol was missing. A day is 24 hours from the first miss in it."""
    day_began: datetime
    retry_at: datetime | None = None
    """When to request the symbol again. None while it is active."""


class InactiveSymbols:
    """Counts the misses of each symbol. Not thread-safe. Times are aware UTC.

    A symbol becomes inactive after at least `min_misses` misses in a row on at least `min_days` days. Its
    next price makes it active again. The counts are in memory alone: after a restart every symbol is active, and a
    dead one takes a place in a batch until it is inactive again.
    """

    def __init__(
        self, *, min_misses: int = MIN_MISSES, min_days: int = MIN_DAYS, retry_after: timedelta = RETRY_AFTER
    ) -> None:
        self._min_misses = min_misses
        self._min_days = min_days
        self._retry_after = retry_after
        self._misses: dict[str, Misses] = {}

    def to_request(self, symbols: Iterable[str], now: datetime) -> tuple[str, ...]:
        """The symbols to request in a poll at this time, in their order: active ones, and those due for a retry."""
        return tuple(symbol for symbol in symbols if self._is_requested(symbol, now))

    def inactive(self, symbols: Iterable[str]) -> tuple[str, ...]:
        """The inactive symbols among these, in their order."""
        return tuple(symbol for symbol in symbols if self._retry_at(symbol) is not None)

    def record(self, missing: Sequence[str], priced: Iterable[str], now: datetime) -> None:
        """Record the responses of a poll. A symbol that was not requested, or whose request failed, is in neither."""
        for symbol in priced:
            self._misses.pop(symbol, None)
        for symbol in missing:
            self._misses[symbol] = self._after_miss(self._misses.get(symbol), now)

    def forget(self, symbols: Iterable[str]) -> None:
        """Forget the misses of some symbols, so that they are active."""
        for symbol in symbols:
            self._misses.pop(symbol, None)

    def _after_miss(self, before: Misses | None, now: datetime) -> Misses:
        if before is None:
            misses = Misses(1, 1, now)
        elif now - before.day_began < _DAY:
            misses = Misses(before.count + 1, before.days, before.day_began)
        else:
            misses = Misses(before.count + 1, before.days + 1, now)
        if misses.count >= self._min_misses and misses.days >= self._min_days:
            return msgspec.structs.replace(misses, retry_at=now + self._retry_after)
        return misses

    def _is_requested(self, symbol: str, now: datetime) -> bool:
        retry_at = self._retry_at(symbol)
        return retry_at is None or now >= retry_at

    def _retry_at(self, symbol: str) -> datetime | None:
        misses = self._misses.get(symbol)
        return None if misses is None else misses.retry_at
