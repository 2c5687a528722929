"""The adapter of exchange_calendars: the one module that imports it, and only when a calendar is needed.

The import loads pandas and takes half a second, which a producer of simulated or recorded quotes saves. A calendar is
copied into plain sessions, so that asking whether an exchange is open takes a microsecond.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from producer_service.errors import CalendarUnavailable, described
from producer_service.hours import Session
from producer_service.market_hours import OPEN_ALWAYS, Calendar
from producer_service.session_years import DaySession, SessionYear
from watchlist.groups import ALWAYS

LOOK_BACK = timedelta(days=30)
"""How far back sessions are loaded: further than the longest run of holidays."""
LOOK_AHEAD = timedelta(days=120)
"""How far ahead sessions are loaded. They are loaded again every day, so this is how long that may fail."""


def load(name: str, now: datetime) -> Calendar:
    """A calendar's sessions around a moment. Raises `CalendarUnavailable`, whatever the library raises."""
    if name == ALWAYS:
        return OPEN_ALWAYS
    try:
        return _load(name, now)
    except Exception as error:  # such as NotImplementedError of pandas 3.1 for Orthodox Easter
        raise CalendarUnavailable(f"the calendar {name} cannot be computed: {type(error).__name__}: {error}") from error


def _load(name: str, now: datetime) -> Calendar:
    from exchange_calendars import get_calendar  # noqa: PLC0415

    first, last = (now - LOOK_BACK).date(), (now + LOOK_AHEAD).date()
    try:
        found = get_calendar(name, start=first.isoformat(), end=last.isoformat())
    except ValueError:  # some exchanges announce a year's holidays only shortly before it
        found = get_calendar(name, start=first.isoformat())
        last = found.bound_max().date()
    known_from, known_to = _midnight(first, found.tz), _midnight(last + timedelta(days=1), found.tz)
    sessions = [session for day in found.schedule.itertuples() for session in _sessions(day)]
    return Calendar(name, str(found.tz), tuple(sessions), known_from, known_to)


def load_years(name: str, years: range, now: datetime) -> list[SessionYear]:
    """The sessions of some years, each as far as it can be computed. Raises `CalendarUnavailable` if none can be.

    Some exchanges announce a year's holidays only shortly before it, and some calendars begin late or have mistakes in
    past months. Of the present year, the sessions from `LOOK_BACK` on are enough then.
    """
    recently = (now - LOOK_BACK).date()
    spans: list[tuple[int, date, date | None]] = [(years[-1], date(years[0], 1, 1), date(years[-1], 12, 31))]
    for year in years:
        first, last = date(year, 1, 1), date(year, 12, 31)
        spans += [(year, first, last), (year, first, None), (year, recently, last), (year, recently, None)]
    found: dict[int, SessionYear] = {}
    problem: Exception | None = None
    for year, start, end in spans:
        if year in found:
            continue
        try:
            found = {each.year: each for each in _years(name, start, end, years)} | found
        except Exception as error:  # noqa: BLE001  (whatever the library raises, another span may work)
            problem = error
    if not found and problem is not None:
        raise CalendarUnavailable(f"the calendar {name} cannot be computed: {described(problem)}") from problem
    return [found[year] for year in sorted(found)]


def _years(name: str, first: date, last: date | None, years: range) -> Iterator[SessionYear]:
    """The years of one span, which ends where the calendar ends if `last` is None."""
    from exchange_calendars import get_calendar  # noqa: PLC0415

    found = get_calendar(name, start=first.isoformat(), **({} if last is None else {"end": last.isoformat()}))
    last = last or found.bound_max().date()
    sessions = [
        DaySession(day.Index.date(), *session) for day in found.schedule.itertuples() for session in _sessions(day)
    ]
    for year in range(first.year, min(last.year, years[-1]) + 1):
        own = tuple(session for session in sessions if session.day.year == year)
        start, end = max(first, date(year, 1, 1)), min(last, date(year, 12, 31)) + timedelta(days=1)
        yield SessionYear(name, year, str(found.tz), own, _midnight(start, found.tz), _midnight(end, found.tz))


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, datetime.min.time(), zone).astimezone(UTC)


def _sessions(day: Any) -> tuple[Session, ...]:
    opens, closes = _utc(day.open), _utc(day.close)
    if day.break_start != day.break_start:  # pandas marks a missing time by a value that does not equal itself
        return (Session(opens, closes),)
    return Session(opens, _utc(day.break_start)), Session(_utc(day.break_end), closes)


def _utc(timestamp: Any) -> datetime:
    return datetime.fromtimestamp(timestamp.timestamp(), UTC)
