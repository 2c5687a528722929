"""Decides what to deliver of what the stream and the polls bring, and when to poll and to reconnect. Pure.

Time is an argument: a `Moment` has both clocks, and what is known of the market then.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from producer_service.sources import ConnectionReport, Failure, FetchResult, GapReason
from producer_service.sources.yahoo_stream.gaps import Continuity, Gap
from producer_service.sources.yahoo_stream.merge import Merge
from producer_service.sources.yahoo_stream.trades import Trade
from quotes import Quote

GAP_POLL_SECONDS = 10.0
"""The longest interval of polls while streamed quotes may be missing. The polls are all that there is then."""
ASK_SECONDS = 5.0
"""The shortest time between two polls, whatever asks for them."""
QUIET_SECONDS = 10.0
"""After this time without a result, one is delivered that only says how far the source is complete."""


class Moment(msgspec.Struct, frozen=True):
    """A time, and what is to be expected of the market then."""

    at: datetime
    """By the producer's clock, aware UTC in milliseconds."""
    uptime: float
    """By a monotonic clock, in seconds."""
    due: tuple[str, ...]
    """The symbols of which a poll is worth it."""
    is_trading: bool
    """Whether any symbol trades."""
    all_trade: bool
    """Whether all groups that are due trade. So no session settles, whose last prices only polls bring."""

    @property
    def is_due(self) -> bool:
        """Whether a poll of any symbol is worth it."""
        return bool(self.due)


class Reconciler:
    """Takes what happens, in its order, and returns the results to deliver. Not thread-safe.

    - A poll is due every `poll_seconds`, at once when the connection is lost or opened, when a trade is left to it, and
      when more symbols are due.
    - `complete_to` advances with the polls. With the stream it advances while there is no gap, the connection is not
      silent, no trade is left to a poll, the last complete poll asked for all symbols that are due, and all groups of
      them trade. It is less by the allowance for delays that that poll made.
    """

    def __init__(self, symbols: Sequence[str], *, extended_hours: bool, poll_seconds: float, started: float) -> None:
        self._symbols = tuple(symbols)
        self._merge = Merge(symbols, extended_hours=extended_hours)
        self._poll_seconds = poll_seconds
        self._continuity = Continuity(started=started)
        self._connected_since: datetime | None = None
        self._connections = 0
        self._pending = ConnectionReport(connected_since=None, gap_since=None)
        """What happened since the last result."""
        self._allowance: timedelta | None = None
        """How far before its beginning the last complete poll was complete."""
        self._polled: frozenset[str] = frozenset()
        """The symbols of the last complete poll."""
        self._delivered_at = started
        self._poll_began: float | None = None
        self._has_polled = False
        self._is_poll_wanted = True

    @property
    def gap(self) -> Gap | None:
        """The gap that is not filled yet."""
        return self._continuity.gap

    def takes_poll(self, moment: Moment) -> bool:
        """Whether a poll is to begin now. If so, it counts as begun."""
        since = None if self._poll_began is None else moment.uptime - self._poll_began
        is_complete = self.gap is None and self._has_brought_all(moment)
        interval = self._poll_seconds if is_complete else min(self._poll_seconds, GAP_POLL_SECONDS)
        is_time = since is None or since >= interval or (self._is_poll_wanted and since >= ASK_SECONDS)
        if not (is_time and moment.is_due):
            return False
        self._poll_began, self._is_poll_wanted = moment.uptime, False
        return True

    def polled(self, began: Moment, result: FetchResult, now: Moment) -> FetchResult:
        """A poll that began at a moment brought a result."""
        self._has_polled = True
        merged = self._merge.polled(result.quotes)
        if result.complete_to is not None:
            self._allowance = began.at - result.complete_to
            self._polled = frozenset(began.due)
            self._merge.complete(result.complete_to)
        connected, newest = self._connected_since, merged.newest
        self._continuity = self._continuity.after_poll(
            began.uptime,
            is_complete=result.complete_to is not None,
            has_news=connected is not None and newest is not None and newest > connected,
        )
        self._count(missed=merged.missed, corrected=merged.corrected)
        return self._deliver(replace(result, quotes=merged.quotes, asked_at=began.at, asked=began.due), now)

    def opened(self, now: Moment) -> None:
        """The connection was opened."""
        self._continuity = self._continuity.after_connect(now.uptime)
        self._connected_since = now.at
        self._count(reconnects=int(self._connections > 0))
        self._connections += 1
        self._is_poll_wanted = True

    def lost(self, failure: Failure, now: Moment, *, is_refused: bool) -> FetchResult:
        """The connection ended, or could not be opened."""
        return self._lose(
            self._continuity.after_loss("refused" if is_refused else "disconnected", is_due=now.is_due), failure, now
        )

    def received(self, trades: Sequence[Trade], garbage: int, now: Moment, *, at: datetime) -> FetchResult | None:
        """Some messages came: trades, and a number without one. `at` is when the last of them did."""
        if trades:
            self._continuity = self._continuity.after_messages(now.uptime)
        merged = self._merge.streamed(trades)
        self._is_poll_wanted |= merged.needs_poll
        lags = tuple((trade.received - trade.time).total_seconds() for trade in merged.trades)
        self._count(messages=len(trades) + garbage, garbage=garbage, lags=lags)
        if not merged.quotes:
            return None
        return self._push(now, merged.quotes, complete_at=at)

    def stalls(self, now: Moment) -> FetchResult | None:
        """A result if the connection has stalled, so that it is to be renewed."""
        if not self._continuity.is_stalled(now.uptime, is_trading=now.is_trading):
            return None
        failure = Failure("timeout", "the streaming endpoint has gone silent", self._symbols)
        return self._lose(self._continuity.after_stall(), failure, now)

    def quiet(self, now: Moment) -> FetchResult | None:
        """A result that says how far the source is complete, if none was delivered for a while.

        None before the first poll ends, whose result is the first one, and in a gap, in which polls deliver often.
        """
        is_first_under_way = self._poll_began is not None and not self._has_polled
        is_polled_often = self.gap is not None and now.is_due
        if is_first_under_way or is_polled_often or now.uptime - self._delivered_at < QUIET_SECONDS:
            return None
        return self._push(now, (), complete_at=now.at)

    def _lose(self, continuity: Continuity, failure: Failure, now: Moment) -> FetchResult:
        before, self._continuity = self._continuity, continuity
        self._connected_since = None
        self._is_poll_wanted = True
        if before.gap is None and continuity.gap is not None:
            self._count(gaps=(continuity.gap.reason,))
        return self._deliver(FetchResult(failures=(failure,), is_push=True), now)

    def _push(self, now: Moment, quotes: tuple[Quote, ...], *, complete_at: datetime) -> FetchResult:
        is_continuous = self.gap is None and self._has_brought_all(now) and self._continuity.is_alive(now.uptime)
        knows_how_far = is_continuous and now.is_trading and now.all_trade
        complete_to = complete_at - self._allowance if knows_how_far and self._allowance is not None else None
        return self._deliver(FetchResult(quotes=quotes, complete_to=complete_to, is_push=True), now)

    def _has_brought_all(self, now: Moment) -> bool:
        """Whether polls have brought what they alone can: trades left to them, and a first quote of each symbol."""
        return not self._merge.is_poll_needed and self._polled.issuperset(now.due)

    def _deliver(self, result: FetchResult, now: Moment) -> FetchResult:
        gap = self.gap
        report = replace(
            self._pending,
            connected_since=self._connected_since,
            gap_since=None if gap is None else now.at - timedelta(seconds=round(now.uptime - gap.since, 3)),
        )
        self._pending = ConnectionReport(connected_since=None, gap_since=None)
        self._delivered_at = now.uptime
        return replace(result, connection=report)

    def _count(
        self,
        *,
        messages: int = 0,
        garbage: int = 0,
        lags: tuple[float, ...] = (),
        gaps: tuple[GapReason, ...] = (),
        reconnects: int = 0,
        missed: int = 0,
        corrected: int = 0,
    ) -> None:
        pending = self._pending
        self._pending = replace(
            pending,
            messages=pending.messages + messages,
            garbage=pending.garbage + garbage,
            lags=pending.lags + lags,
            gaps=pending.gaps + gaps,
            reconnects=pending.reconnects + reconnects,
            missed=pending.missed + missed,
            corrected=pending.corrected + corrected,
        )
