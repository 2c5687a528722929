"""The calendars of exchanges: the one module that imports exchange_calendars, and only when a calendar is wanted.

Importing it takes pandas and half a second, which a producer of simulated or recorded quotes does not pay. What a
calendar knows is copied into plain sessions, so that asking one whether it is open costs a microsecond.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import structlog

from producer_service.errors import ConfigurationError
from producer_service.exchanges import ALWAYS, AUTO
from producer_service.hours import ALWAYS_OPEN, FOREVER, Hours, Session

BEHIND = timedelta(days=30)
"""How far back sessions are looked up: further than the longest run of holidays."""
AHEAD = timedelta(days=60)
"""How far ahead. They are looked up anew every day, so this is how long that may fail."""
NOTICE = timedelta(days=14)
"""A calendar that ends so soon is warned of: its holidays are not recorded any further."""

log = structlog.get_logger(__name__)


class Calendar(msgspec.Struct, frozen=True):
    """What is known of an exchange's hours. A lunch break ends one session and begins another."""

    name: str
    zone: str
    """The exchange's time zone, as zoneinfo names it."""
    sessions: tuple[Session, ...]
    known_to: datetime
    """From here on nothing is known, and it counts as open: a poll too many loses nothing, one too few does."""

    def local(self, moment: datetime) -> datetime:
        """A moment in the exchange's own time."""
        return moment.astimezone(ZoneInfo(self.zone))


OPEN_ALWAYS = Calendar(ALWAYS, "UTC", ALWAYS_OPEN, FOREVER)

Load = Callable[[str, datetime], Calendar]


class MarketHours:
    """The hours of some calendars around `now`, until they are refreshed; safe to ask from any thread meanwhile."""

    def __init__(self, names: Iterable[str], load: Load, now: datetime) -> None:
        self._names = sorted(set(names))
        self._load = load
        self.refresh(now)

    def refresh(self, now: datetime) -> None:
        """Look every calendar up anew, around another moment. If that raises, what was known stays."""
        calendars = {name: self._load(name, now) for name in self._names}
        for calendar in calendars.values():
            if calendar.known_to < now + NOTICE:
                log.warning(
                    "calendar_ends",
                    calendar=calendar.name,
                    known_to=calendar.known_to.isoformat(),
                    action="it counts as open from then on; a newer release of exchange_calendars knows more",
                )
        self._known = _Known(calendars)

    def known_to(self) -> datetime:
        """Up to when every one of them is known."""
        return min((calendar.known_to for calendar in self._known.calendars.values()), default=FOREVER)

    def calendar(self, name: str) -> Calendar:
        """One of its calendars."""
        return self._known.calendars[name]

    def hours(self, names: tuple[str, ...], before: timedelta, after: timedelta) -> Hours:
        """When any of some calendars is open, with margins."""
        known, key = self._known, (names, before, after)
        hours = known.hours.get(key)
        if hours is None:
            sessions = (session for name in names for session in known.calendars[name].sessions)
            hours = known.hours[key] = Hours(sessions, before=before, after=after)
        return hours


class _Known:
    """What one look-up brought, and what was made of it: replaced together."""

    def __init__(self, calendars: Mapping[str, Calendar]) -> None:
        self.calendars = calendars
        self.hours: dict[tuple[tuple[str, ...], timedelta, timedelta], Hours] = {}


def load(name: str, now: datetime) -> Calendar:
    """A calendar's sessions around a moment. Raises `ConfigurationError` if the library cannot make it."""
    if name == ALWAYS:
        return OPEN_ALWAYS
    from exchange_calendars import get_calendar  # noqa: PLC0415

    first, last = (now - BEHIND).date(), (now + AHEAD).date()
    try:
        try:
            found = get_calendar(name, start=first.isoformat(), end=last.isoformat())
        except ValueError:  # some exchanges announce a year's holidays only shortly before it
            found = get_calendar(name, start=first.isoformat())
            last = found.bound_max().date()
    except (ValueError, NotImplementedError) as error:  # the second of Orthodox Easter, under pandas 3.1
        raise ConfigurationError([f"the calendar {name} cannot be made ({error}); use always, or another"]) from error
    known_to = datetime.combine(last + timedelta(days=1), datetime.min.time(), found.tz).astimezone(UTC)
    spans = [span for day in found.schedule.itertuples() for span in _spans(day)]
    return Calendar(name, str(found.tz), (*spans, Session(known_to, FOREVER)), known_to)


def mistake(name: str) -> str | None:
    """What is wrong with the name of a calendar, as a predicate of it; None if nothing is."""
    if name in (AUTO, ALWAYS):
        return None
    from exchange_calendars import get_calendar_names  # noqa: PLC0415

    names = {known.upper(): known for known in (AUTO, ALWAYS, *get_calendar_names())}
    if name in names.values():
        return None
    capitals = name.upper()
    close = [names[each] for each in ([capitals] if capitals in names else difflib.get_close_matches(capitals, names))]
    advice = f"; {' or '.join(close)} is meant?" if close else ": auto, always, or one of exchange_calendars, as XNYS"
    return f"is no calendar{advice}"


def _spans(day: Any) -> tuple[Session, ...]:
    opens, closes = _plain(day.open), _plain(day.close)
    if day.break_start != day.break_start:  # pandas says "no time" by a value that is not equal to itself
        return (Session(opens, closes),)
    return Session(opens, _plain(day.break_start)), Session(_plain(day.break_end), closes)


def _plain(timestamp: Any) -> datetime:
    return datetime.fromtimestamp(timestamp.timestamp(), UTC)
