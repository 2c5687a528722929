"""The hours of exchanges: their calendars as plain sessions, and when any of several is open. Pure.

`calendars` loads them from exchange_calendars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import structlog

from producer_service.exchanges import ALWAYS
from producer_service.hours import ALWAYS_OPEN, LATEST, Hours, Session

WARN_BEFORE_END = timedelta(days=14)
"""A warning is logged if a calendar ends within this time, since no later holidays are recorded in it."""

log = structlog.get_logger(__name__)


class Calendar(msgspec.Struct, frozen=True):
    """What is known of an exchange's hours. A lunch break ends one session, and another begins after it."""

    name: str
    zone: str
    """The exchange's time zone, as zoneinfo names it."""
    sessions: tuple[Session, ...]
    known_to: datetime
    """Nothing is known from this time on, so the exchange counts as open: a poll too many loses nothing."""

    def local(self, moment: datetime) -> datetime:
        """A moment in the exchange's own time."""
        return moment.astimezone(ZoneInfo(self.zone))


OPEN_ALWAYS = Calendar(ALWAYS, "UTC", ALWAYS_OPEN, LATEST)

LoadCalendar = Callable[[str, datetime], Calendar]
"""Loads the calendar of a name, for the time around a moment."""


class MarketHours:
    """The hours of some calendars around `now`, until they are refreshed. Any thread may read them at any time."""

    def __init__(self, names: Iterable[str], load: LoadCalendar, now: datetime) -> None:
        self._names = sorted(set(names))
        self._load = load
        self.refresh(now)

    def refresh(self, now: datetime) -> None:
        """Load every calendar again, for the time around another moment. If that raises, nothing changes."""
        calendars = {name: self._load(name, now) for name in self._names}
        for calendar in calendars.values():
            if calendar.known_to < now + WARN_BEFORE_END:
                log.warning(
                    "calendar_ends",
                    calendar=calendar.name,
                    known_to=calendar.known_to.isoformat(),
                    action="it counts as open from then on; a newer release of exchange_calendars knows more",
                )
        self._snapshot = _Snapshot(calendars)

    def known_to(self) -> datetime:
        """The time up to which all calendars are known."""
        return min((calendar.known_to for calendar in self._snapshot.calendars.values()), default=LATEST)

    def calendar(self, name: str) -> Calendar:
        """One of the calendars."""
        return self._snapshot.calendars[name]

    def hours(self, names: tuple[str, ...], before: timedelta, after: timedelta) -> Hours:
        """When any of some calendars is open, with margins."""
        snapshot, key = self._snapshot, (names, before, after)
        hours = snapshot.hours.get(key)
        if hours is None:
            sessions = (session for name in names for session in snapshot.calendars[name].sessions)
            hours = snapshot.hours[key] = Hours(sessions, before=before, after=after)
        return hours


class _Snapshot:
    """The calendars of one refresh, and the hours computed from them. They are replaced together."""

    def __init__(self, calendars: Mapping[str, Calendar]) -> None:
        self.calendars = calendars
        self.hours: dict[tuple[tuple[str, ...], timedelta, timedelta], Hours] = {}
