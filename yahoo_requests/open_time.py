"""Measures time during which an exchange is open. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime, timedelta

Session = tuple[datetime, datetime]
"""The start and the end of trading, aware UTC."""


class OpenTime:
    """The sessions of an exchange, which do not overlap. Answers in logarithmic time."""

    def __init__(self, sessions: Iterable[Session]) -> None:
        self._sessions = sorted(sessions)
        self._starts = [start for start, _ in self._sessions]
        self._before = [timedelta()]
        """The open time before each session, and after the last."""
        for start, end in self._sessions:
            self._before.append(self._before[-1] + (end - start))

    def __bool__(self) -> bool:
        return bool(self._sessions)

    def between(self, start: datetime, end: datetime) -> timedelta:
        """How long the exchange is open from one time to another."""
        return max(self._until(end) - self._until(start), timedelta())

    def touches(self, start: datetime, end: datetime) -> bool:
        """Whether a span has open time, or starts at the end of a session, as the bar of a closing auction does."""
        after = bisect_right(self._starts, start)
        return bool(self.between(start, end)) or (after > 0 and self._sessions[after - 1][1] == start)

    def _until(self, moment: datetime) -> timedelta:
        after = bisect_right(self._starts, moment)
        if not after:
            return timedelta()
        start, end = self._sessions[after - 1]
        return self._before[after - 1] + (min(moment, end) - start)
