"""Which chunks to ask the source for: the bars of sessions that are neither stored nor were asked for before. Pure.

A chunk has whole days of the exchange, and no chunk crosses a border between two windows. Windows have fixed borders,
as many weeks apart as one request may ask for. So the same gap always gives the same chunk.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from backfill.chunks import Chunk
from backfill.days import ExchangeDay, Times, covered_minutes, days_of, spans_of_sessions, uncovered
from bars.recent_days import MARGIN
from bars.resolutions import ONE_DAY, Span, midnight
from bars.sessions import Session

SETTLED_AFTER = timedelta(hours=1)
"""How long ago a day must have ended. Until then, its last quotes may still be on their way."""
LOOK_BACK = timedelta(days=14)
"""How far before its first chunk the splits of a symbol are looked for: its indicators start from earlier bars."""
LONGEST_WINDOW = timedelta(weeks=520)
"""The window of bars that any request may ask for."""
_WEEK = timedelta(weeks=1)
_DAY = timedelta(days=1)


class Limit(NamedTuple):
    """What the source says of a resolution."""

    kept: timedelta | None
    """How long it keeps the bars. None: for ever."""
    per_request: timedelta | None
    """The longest time that one request may ask for. None: any."""


class DayRange(NamedTuple):
    """Days of an exchange, from the one to the other, both inclusive."""

    first: date
    last: date
    since: datetime | None = None
    """Days that begin before it are not meant. None: all of them are."""

    def has(self, day: ExchangeDay) -> bool:
        """Whether a day is one of them."""
        return self.first <= day.day <= self.last and (self.since is None or day.start >= self.since)

    def span(self, zone: ZoneInfo) -> Span:
        """The time from the midnight of the first day to the one that ends the last."""
        return Span(midnight(self.first, zone), midnight(self.last + _DAY, zone))


class Known(NamedTuple):
    """What is known of a symbol and a resolution before the source is asked."""

    symbol: str
    zone: ZoneInfo
    sessions: Sequence[Session]
    """All sessions of the days in question, in order."""
    known_from: datetime
    known_to: datetime
    """The sessions are known from the one moment to the other."""
    stored: frozenset[datetime]
    """The starts of the stored bars."""
    asked: Sequence[Span] = ()
    """The source was asked for these times before, and has no further bar of them."""


class MissingDay(NamedTuple):
    """A day that lacks bars."""

    day: ExchangeDay
    spans: Sequence[Span]
    """The minutes that no bar covers."""


class SymbolPlan(NamedTuple):
    """What a symbol needs."""

    chunks: Sequence[Chunk]
    forgotten: Sequence[date]
    """Days that lack bars, and that the source does not keep any more."""
    is_unknown: bool
    """Whether some of the sessions are not known, so that bars may be missing that nobody knows of."""


def missing_days(known: Known, resolution: str, wanted: DayRange, now: datetime) -> list[MissingDay]:
    """The days that lack bars. Days that are not over are left out.

    Only the minutes of days with a bar, or with a time that was asked for, are looked at one by one.
    """
    found: list[MissingDay] = []
    covered, asked = covered_minutes(resolution, known.stored), Times(known.asked)
    in_order = sorted(covered)
    for day in days_of(known.sessions, known.zone):
        is_over = _end_of(day, resolution, known.zone) + SETTLED_AFTER <= now
        if not (is_over and wanted.has(day)):
            continue
        first, last = bisect_left(in_order, day.start), bisect_left(in_order, day.end)
        if resolution != ONE_DAY.name and first == last and not asked.touch(day.start, day.end):
            spans = spans_of_sessions(day)
        else:
            spans = uncovered(day, resolution, covered, before=day.end, asked=asked)
        if spans:
            found.append(MissingDay(day, spans))
    return found


def plan_symbol(known: Known, resolution: str, limit: Limit, wanted: DayRange, now: datetime) -> SymbolPlan:
    """The chunks of a symbol, the earliest first."""
    missing = [each.day for each in missing_days(known, resolution, wanted, now)]
    oldest = None if limit.kept is None else now - limit.kept + MARGIN
    forgotten = [day.day for day in missing if oldest is not None and day.start < oldest]
    kept = [day for day in missing if oldest is None or day.start >= oldest]
    start, end = wanted.span(known.zone)
    is_unknown = known.known_from > start or known.known_to < min(end, now)
    return SymbolPlan(chunks_of(known, kept, resolution, limit, now), forgotten, is_unknown)


def chunks_of(known: Known, days: Iterable[ExchangeDay], resolution: str, limit: Limit, now: datetime) -> list[Chunk]:
    """The chunks of some days of a symbol, which are in order."""
    chunks: list[Chunk] = []
    window: int | None = None
    for day in days:
        own = _window_of(day.day, limit)
        if chunks and own == window and _fits(day.end - chunks[-1].start, limit):
            chunks[-1] = Chunk(known.symbol, resolution, chunks[-1].start, day.end)
        else:
            chunks.append(Chunk(known.symbol, resolution, day.start, day.end))
        window = own
    if resolution == ONE_DAY.name and chunks:  # one request tells all, and the splits up to now as well
        return [daily_chunk(known.symbol, known.zone, chunks[0].start, now)]
    return chunks


def chunk_of_splits(symbol: str, zone: ZoneInfo, first: Chunk, now: datetime) -> Chunk:
    """The chunk of days that shows all splits that matter to a symbol's chunks. `first` is the first of them."""
    return daily_chunk(symbol, zone, midnight(first.start.astimezone(zone).date() - LOOK_BACK, zone), now)


def daily_chunk(symbol: str, zone: ZoneInfo, start: datetime, now: datetime) -> Chunk:
    """The chunk of a symbol's days up to the present one. It shows every split that took effect by now."""
    return Chunk(symbol, ONE_DAY.name, start, midnight(now.astimezone(zone).date() + _DAY, zone))


def forgotten_first(chunks: Iterable[Chunk]) -> list[Chunk]:
    """Chunks in the order in which the source forgets their bars."""
    return sorted(chunks, key=lambda each: (each.start, each.symbol))


def _end_of(day: ExchangeDay, resolution: str, zone: ZoneInfo) -> datetime:
    """When the bars of a day are over. That of a whole day lasts until midnight."""
    return midnight(day.day + _DAY, zone) if resolution == ONE_DAY.name else day.end


def _window_of(day: date, limit: Limit) -> int:
    weeks = max(1, (limit.per_request or LONGEST_WINDOW) // _WEEK)
    return (day.toordinal() - 1) // (7 * weeks)  # the first day of the calendar is a Monday


def _fits(length: timedelta, limit: Limit) -> bool:
    return limit.per_request is None or length <= limit.per_request
