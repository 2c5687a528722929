"""The days of an exchange, and which bars they should have. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Container, Iterable, Iterator
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bars.resolutions import MINUTE, ONE_DAY, ONE_MINUTE, RESOLUTIONS, Span, midnight
from bars.sessions import Session, Sessions

_SATURDAY = 5


class ExchangeDay(NamedTuple):
    """A day of an exchange. Days do not overlap: a session of the evening before belongs to its day as a whole."""

    day: date
    sessions: tuple[Span, ...]
    start: datetime
    """Its midnight, or its first open if that is earlier."""
    end: datetime
    """Just after its last close, so that the bar of the closing auction, which begins with the close, is part of it."""
    midnight: datetime
    """Where the bar of the whole day begins."""


def days_of(sessions: Iterable[Session], zone: ZoneInfo) -> list[ExchangeDay]:
    """The days of some sessions, which are in order."""
    found: list[ExchangeDay] = []
    for day, members in groupby(sessions, key=lambda each: each.day):
        spans = tuple(Span(each.opens, each.closes) for each in members)
        own = date.fromisoformat(day)
        begin = midnight(own, zone)
        found.append(ExchangeDay(own, spans, min(begin, spans[0].start), _end(spans[-1].end, zone), begin))
    return found


def _end(closes: datetime, zone: ZoneInfo) -> datetime:
    """The end of a day with a last close. A day that lasts until midnight has no auction."""
    return closes if midnight(closes.astimezone(zone).date(), zone) == closes else closes + MINUTE


def minutes_of(day: ExchangeDay) -> Iterator[datetime]:
    """The whole minutes of a day's sessions, in order."""
    for session in day.sessions:
        yield from session.minutes()


def covered_minutes(resolution: str, starts: Collection[datetime]) -> Collection[datetime]:
    """The minutes that bars with these starts cover. For bars of a day, the starts."""
    length = RESOLUTIONS[resolution].minutes
    if resolution in {ONE_MINUTE.name, ONE_DAY.name}:
        return frozenset(starts)
    return frozenset(start + MINUTE * offset for start in starts for offset in range(length))


def uncovered(
    day: ExchangeDay,
    resolution: str,
    covered: Collection[datetime],
    *,
    before: datetime,
    asked: Container[datetime] = (),
) -> list[Span]:
    """The minutes of a day's sessions up to a moment that are neither covered nor asked for, as spans without a break.

    `covered` is that of `covered_minutes`. For bars of a day, the whole day is one span.
    """
    if resolution == ONE_DAY.name:
        is_known = day.midnight in covered or day.start in asked
        return [] if is_known or day.end > before else [Span(day.start, day.end)]
    return spans_of(
        minute for minute in minutes_of(day) if minute not in covered and minute < before and minute not in asked
    )


def spans_of_sessions(day: ExchangeDay) -> list[Span]:
    """All minutes of a day's sessions, as spans without a break: those of `uncovered` if no minute is covered or asked.

    It takes no time for each minute, so a range of many years without bars is fast.
    """
    found: list[Span] = []
    for start, end in ((_whole_minute(opens), _whole_minute(closes)) for opens, closes in day.sessions):
        if found and found[-1].end == start:
            found[-1] = Span(found[-1].start, end)
        elif start < end:
            found.append(Span(start, end))
    return found


def _whole_minute(moment: datetime) -> datetime:
    """The first whole minute that does not begin before a moment."""
    minute = moment.replace(second=0, microsecond=0)
    return minute if minute == moment else minute + MINUTE


def spans_of(minutes: Iterable[datetime]) -> list[Span]:
    """Minutes in order as spans without a break."""
    found: list[Span] = []
    for minute in minutes:
        if found and found[-1].end == minute:
            found[-1] = Span(found[-1].start, minute + MINUTE)
        else:
            found.append(Span(minute, minute + MINUTE))
    return found


class Times(Container[datetime]):
    """Spans of time in any order, which may overlap. Whether they have a moment takes logarithmic time."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []
        for start, end in sorted(spans):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def touch(self, start: datetime, end: datetime) -> bool:
        """Whether they have a moment from `start` to just before `end`."""
        after = bisect_left(self._starts, end)
        return after > 0 and start < self._ends[after - 1]

    def __contains__(self, moment: object) -> bool:
        if not isinstance(moment, datetime):
            return False
        after = bisect_right(self._starts, moment)
        return after > 0 and moment < self._ends[after - 1]


def with_weekdays(known: Sessions, start: datetime, zone: ZoneInfo) -> Sessions:
    """Sessions from a moment on, where those before the known ones are the weekdays, each from midnight to midnight.

    The table of calendars goes back little more than a year, and bars of days go back for ever. A holiday among these
    weekdays is asked for once, and has no bar then.
    """
    assumed: list[Session] = []
    day = start.astimezone(zone).date()
    while (opens := midnight(day, zone)) < known.known_from:
        if day.weekday() < _SATURDAY:
            assumed.append(Session(day.isoformat(), opens, midnight(day + timedelta(days=1), zone)))
        day += timedelta(days=1)
    later = [each for each in known.sessions if not assumed or each.day > assumed[-1].day]
    return Sessions([*assumed, *later], start, known.known_to)
