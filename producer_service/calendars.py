"""The adapter of exchange_calendars: the one module that imports it, and only when a calendar is needed.

The import loads pandas and takes half a second, which a producer of simulated or recorded quotes saves. A calendar is
copied into plain sessions, so that asking whether an exchange is open takes a microsecond.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from producer_service.errors import CalendarUnavailable
from producer_service.hours import Session
from producer_service.market_hours import OPEN_ALWAYS, Calendar
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
    known_from = datetime.combine(first, datetime.min.time(), found.tz).astimezone(UTC)
    known_to = datetime.combine(last + timedelta(days=1), datetime.min.time(), found.tz).astimezone(UTC)
    sessions = [session for day in found.schedule.itertuples() for session in _sessions(day)]
    return Calendar(name, str(found.tz), tuple(sessions), known_from, known_to)


def _sessions(day: Any) -> tuple[Session, ...]:
    opens, closes = _utc(day.open), _utc(day.close)
    if day.break_start != day.break_start:  # pandas marks a missing time by a value that does not equal itself
        return (Session(opens, closes),)
    return Session(opens, _utc(day.break_start)), Session(_utc(day.break_end), closes)


def _utc(timestamp: Any) -> datetime:
    return datetime.fromtimestamp(timestamp.timestamp(), UTC)
