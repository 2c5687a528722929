"""The state of a watch group: its hours, its progress, and how far it is complete. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

import msgspec

from producer_service.exchanges import Trading
from producer_service.hours import Phase, is_due
from producer_service.market_hours import Calendar, MarketHours
from producer_service.poll_report import PollStatus
from producer_service.sources import FetchResult, SourceTraits
from watchlist.groups import AUTO, WatchGroup


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a group has come."""

    completed_at: datetime | None = None
    """When the last complete poll began: the last one without a failure. What is pushed beside polls is none."""
    complete_to: datetime | None = None
    """That poll's `complete_to`, or what was pushed after it: no quote with an earlier event time is still to come."""
    delay: timedelta = timedelta()
    """The longest delay that any quote of the group has declared."""
    ended: bool = False
    """The group's source has no quotes left and never will have."""

    def after(self, asked_at: datetime, result: FetchResult) -> Progress:
        """The progress after another poll. After a failure, what was known before stays true."""
        if result.complete_to is None:
            return msgspec.structs.replace(self, ended=result.ended)
        delay = max((quote.delay_minutes or 0 for quote in result.quotes), default=0)
        return Progress(
            completed_at=self.completed_at if result.is_push else asked_at,
            complete_to=result.complete_to,
            delay=max(self.delay, timedelta(minutes=delay)),
            ended=result.ended,
        )

    def with_symbols(self, before: Collection[str], after: Collection[str]) -> Progress:
        """What stays true if the symbols of the group change.

        With more symbols, the group is complete to no time until its next complete poll, which is due at once.
        """
        return self if set(after) <= set(before) else Progress(delay=self.delay)


class GroupState:
    """A watch group at work. Only the intake writes `progress` and `poll_status`; any thread may read them.

    It is polled at least from `before_open` until `after_close`, and longer where its symbols trade or settle longer.
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
        self.trading = trading_of_group(group, traits)
        """The trading of each symbol."""
        self.calendars = tuple(sorted({trading.calendar for trading in self.trading.values()}))
        self.progress = Progress()
        self.poll_status = PollStatus()
        self._tradings = frozenset(self.trading.values())
        self._market_hours = market_hours
        self._before_open = before_open
        self._after_close = after_close

    def phase(self, now: datetime) -> Phase:
        """Whether prices of the group may come. It closes later by the longest delay, to see the last of them."""
        return self._market_hours.polled(
            self._tradings, before=self._before_open, after=self._after_close, delay=self.progress.delay
        ).phase(now)

    def is_due(self, now: datetime) -> bool:
        """Whether a poll is worth it. A poll in the future was made by a wrong clock, and does not count."""
        completed_at = self.progress.completed_at
        if completed_at is not None and completed_at > now:
            completed_at = None
        return not self.progress.ended and is_due(self.phase(now), completed_at)

    def sessions(self, now: datetime) -> Iterator[tuple[Calendar, Phase | None]]:
        """Each calendar of the group, and whether its exchange trades now, without margins. None if that is unknown."""
        for name in self.calendars:
            yield self._market_hours.calendar(name), self._market_hours.session(name, now)

    def is_trading(self, now: datetime) -> bool:
        """Whether new quotes are to be expected: an exchange is in its session, by its calendar and without margins.

        What is seen now is older by the delay that the quotes declare.
        """
        seen = now - self.progress.delay
        return any(phase is not None and phase.is_open for _, phase in self.sessions(seen))

    def complete_to(self, clock: datetime, tradings: Iterable[Trading] | None = None) -> datetime | None:
        """No quote of the group with an earlier event time is still to come. None before the first complete poll.

        - While the group is closed and no poll is due, nothing comes before it opens. So the group is complete up to
          the clock, less the delay that its quotes declare.
        - It is not complete past a close, whose official price may come late, until a poll that began after the session
          settled. What is pushed does not bring that price.

        With `tradings`, this is about the group's symbols that trade so.
        """
        progress = self.progress
        if progress.complete_to is None or progress.completed_at is None or progress.ended:
            return progress.complete_to
        time = progress.complete_to if self.is_due(clock) else max(progress.complete_to, clock - progress.delay)
        for trading in self._tradings if tradings is None else tradings:
            held_at = self._market_hours.held_at(trading, progress.completed_at, progress.delay)
            if held_at is not None:
                time = min(time, held_at)
        return time


def trading_of_group(group: WatchGroup, traits: SourceTraits) -> dict[str, Trading]:
    """When each symbol of a group trades: as the source says, by the calendar that the user named if there is one."""
    trading = {symbol: traits.trading(symbol) for symbol in group.symbols}
    if group.calendar == AUTO:
        return trading
    return {symbol: msgspec.structs.replace(each, calendar=group.calendar) for symbol, each in trading.items()}
