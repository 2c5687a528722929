"""Which symbols are worth asking for: those without a price for days are set aside, and tried again once a day.

No single miss says that a symbol is dead: Yahoo leaves out living ones on holidays and by mistake (yfinance #2835).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

import msgspec

MISSES = 10
DAYS = 3
RETRY_AFTER = timedelta(days=1)


class Absence(msgspec.Struct, frozen=True):
    """How long a symbol has been without a price, answer after answer."""

    misses: int
    days: int
    """The distinct days (UTC) on which it was missed."""
    last_day: date
    retry_at: datetime | None = None
    """When a symbol that was set aside is asked for again."""


class Absences:
    """The symbols that were missing in their last answer. Not thread-safe; times are aware UTC.

    A symbol is set aside once it was missed `misses` times in a row on at least `days` distinct days, and is back with
    its first price. All of it lies in memory: after a restart every symbol is asked for again in each poll, and a dead
    one costs its place in a batch until it is set aside anew.
    """

    def __init__(self, *, misses: int = MISSES, days: int = DAYS, retry_after: timedelta = RETRY_AFTER) -> None:
        self._misses = misses
        self._days = days
        self._retry_after = retry_after
        self._absences: dict[str, Absence] = {}

    def due(self, symbols: Iterable[str], now: datetime) -> tuple[str, ...]:
        """Those to be asked for in a poll at this time, in their order."""
        return tuple(symbol for symbol in symbols if self._is_due(symbol, now))

    def set_aside(self, symbols: Iterable[str]) -> tuple[str, ...]:
        """Those that are set aside, in their order."""
        return tuple(symbol for symbol in symbols if self._retry_at(symbol) is not None)

    def note(self, missing: Sequence[str], present: Iterable[str], now: datetime) -> None:
        """What a poll's answers said. A symbol that was not asked for, or whose request failed, is in neither."""
        for symbol in present:
            self._absences.pop(symbol, None)
        for symbol in missing:
            self._absences[symbol] = self._missed(self._absences.get(symbol), now)

    def _missed(self, before: Absence | None, now: datetime) -> Absence:
        day = now.date()
        if before is None:
            absence = Absence(1, 1, day)
        else:
            absence = Absence(before.misses + 1, before.days + (day != before.last_day), day)
        if absence.misses >= self._misses and absence.days >= self._days:
            return msgspec.structs.replace(absence, retry_at=now + self._retry_after)
        return absence

    def _is_due(self, symbol: str, now: datetime) -> bool:
        retry_at = self._retry_at(symbol)
        # The second: a clock that was set back must not put the retry off beyond its day.
        return retry_at is None or now >= retry_at or now < retry_at - self._retry_after

    def _retry_at(self, symbol: str) -> datetime | None:
        absence = self._absences.get(symbol)
        return None if absence is None else absence.retry_at
