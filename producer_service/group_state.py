"""The state of a watch group: its hours, its progress, and how far it is complete. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from producer_service.exchanges import AUTO
from producer_service.hours import Phase, is_due
from producer_service.market_hours import MarketHours
from producer_service.poll_report import PollStatus
from producer_service.sources import FetchResult, SourceTraits
from producer_service.watch_group import WatchGroup


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a group has come."""

    completed_at: datetime | None = None
    """When the last complete poll began: the last one without a failure."""
    complete_to: datetime | None = None
    """That poll's `complete_to`: no quote of the group with an earlier event time is still to come."""
    delay: timedelta = timedelta()
    """The longest delay that any quote of the group has declared."""
    ended: bool = False
    """The group's source has no quotes left and never will have."""

    def after(self, asked_at: datetime, result: FetchResult) -> Progress:
        """The progress after another poll. After a failure, what was known before stays true."""
        if result.complete_to is None:
            return msgspec.structs.replace(self, ended=result.ended)
        delays = (timedelta(minutes=quote.delay_minutes or 0) for quote in result.quotes)
        return Progress(
            completed_at=asked_at,
            complete_to=result.complete_to,
            delay=max([self.delay, *delays]),
            ended=result.ended,
        )


class GroupState:
    """A watch group at work. Only the intake writes `progress` and `poll_status`; any thread may read them.

    The margins are those of the settings. The source's own margins hold where they are longer.
    """

    def __init__(
        self,
        group: WatchGroup,
        traits: SourceTraits,
        market_hours: MarketHours,
        *,
        before_open: timedelta,
        after_close: timedelta,
    ) -> None:
        self.group = group
        self.traits = traits
        self.calendars = calendars_of_group(group, traits)
        self.progress = Progress()
        self.poll_status = PollStatus()
        self._market_hours = market_hours
        self._before_open = max(before_open, traits.before_open)
        self._after_close = max(after_close, traits.after_close)

    def phase(self, now: datetime) -> Phase:
        """Whether the group is open. It closes later by the delay that its quotes declare, to see the last of them."""
        after = self._after_close + self.progress.delay
        return self._market_hours.hours(self.calendars, self._before_open, after).phase(now)

    def is_due(self, now: datetime) -> bool:
        """Whether a poll is worth it. A poll in the future was made by a wrong clock, and does not count."""
        completed_at = self.progress.completed_at
        if completed_at is not None and completed_at > now:
            completed_at = None
        return not self.progress.ended and is_due(self.phase(now), completed_at)

    def complete_to(self, clock: datetime) -> datetime | None:
        """No quote of the group with an earlier event time is still to come. None before the first complete poll.

        While the group is closed and no poll is due, nothing comes before it opens. So the group is complete up to the
        clock, less the delay that its quotes declare.
        """
        progress = self.progress
        if progress.complete_to is None or progress.ended or self.is_due(clock):
            return progress.complete_to
        return max(progress.complete_to, clock - progress.delay)


def calendars_of_group(group: WatchGroup, traits: SourceTraits) -> tuple[str, ...]:
    """The names of a group's calendars: the one that the user chose, or those that the source derives from symbols."""
    return traits.calendars(group.symbols) if group.calendar == AUTO else (group.calendar,)
