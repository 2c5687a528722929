"""The days of an exchange, and which bars they should have. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bars.resolutions import ONE_DAY, RESOLUTIONS, Span, midnight
from bars.sessions import Session, Sessions

MINUTE = timedelta(minutes=1)
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
    for opens, closes in day.sessions:
        minute = opens.replace(second=0, microsecond=0)
        if minute < opens:
            minute += MINUTE
        while minute < closes:
            yield minute
            minute += MINUTE


def uncovered(day: ExchangeDay, resolution: str, starts: Iterable[datetime], *, before: datetime) -> list[Span]:
    """The minutes of a day's sessions that none of the bars covers, as spans without a break, up to a moment.

    `starts` are the starts of the bars. For bars of a day, the whole day is one span.
    """
    if resolution == ONE_DAY.name:
        is_known = day.midnight in frozenset(starts)
        return [] if is_known or day.end > before else [Span(day.start, day.end)]
    length = RESOLUTIONS[resolution].minutes
    covered = frozenset(start + MINUTE * offset for start in starts for offset in range(length))
    return spans_of(minute for minute in minutes_of(day) if minute not in covered and minute < before)


def spans_of(minutes: Iterable[datetime]) -> list[Span]:
    """Minutes in order as spans without a break."""
    found: list[Span] = []
    for minute in minutes:
        if found and found[-1].end == minute:
            found[-1] = Span(found[-1].start, minute + MINUTE)
        else:
            found.append(Span(minute, minute + MINUTE))
    return found


def without(spans: Iterable[Span], asked: Sequence[Span]) -> list[Span]:
    """What remains of some spans without others."""
    left = list(spans)
    for start, end in asked:
        remaining: list[Span] = []
        for span in left:
            if span.end <= start or span.start >= end:
                remaining.append(span)
                continue
            if span.start < start:
                remaining.append(Span(span.start, start))
            if span.end > end:
                remaining.append(Span(end, span.end))
        left = remaining
    return left


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
