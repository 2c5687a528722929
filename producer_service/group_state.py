"""A watch group at work: its hours, how far it has come, and what it may claim."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from producer_service.calendars import MarketHours
from producer_service.exchanges import ALWAYS, AUTO, calendars_of
from producer_service.hours import Phase, is_due
from producer_service.watchlist import WatchGroup


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a group has come."""

    completed_at: datetime | None = None
    """When its last complete poll began: one without a failure."""
    complete_to: datetime | None = None
    """What that poll said: no quote of the group with an earlier event time is still to come."""
    delay: timedelta = timedelta()
    """The largest that a quote of that poll declared."""
    ended: bool = False
    """Its source has nothing left and never will."""


class GroupState:
    """A group, its calendars and its progress. The intake alone writes `progress`, whole; anyone may read it."""

    def __init__(
        self, group: WatchGroup, market: MarketHours, *, before_open: timedelta, after_close: timedelta
    ) -> None:
        self.group = group
        self.calendars = calendars_of_group(group)
        self.progress = Progress()
        self._market = market
        self._before_open = before_open
        self._after_close = after_close

    def phase(self, now: datetime) -> Phase:
        """Where in the group's hours a moment falls. Quotes that are declared late are waited for beyond the close."""
        after = self._after_close + self.progress.delay
        return self._market.hours(self.calendars, self._before_open, after).phase(now)

    def is_due(self, now: datetime) -> bool:
        """Whether a poll is worth it."""
        return not self.progress.ended and is_due(self.phase(now), self.progress.completed_at)

    def claim(self, clock: datetime) -> datetime | None:
        """Up to where the group is complete; None before its first complete poll.

        At rest nothing is to come before it opens, so it is complete up to now, less what it declares as its delay.
        """
        progress = self.progress
        if progress.complete_to is None or progress.ended or self.is_due(clock):
            return progress.complete_to
        return max(progress.complete_to, clock - progress.delay)


def calendars_of_group(group: WatchGroup) -> tuple[str, ...]:
    """The names of a group's calendars: as it says, or inferred from the names of its symbols if they are Yahoo's."""
    if group.calendar != AUTO:
        return (group.calendar,)
    return calendars_of(group.symbols) if group.source == "yahoo" else (ALWAYS,)
