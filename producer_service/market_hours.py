"""The hours of exchanges: their calendars as plain sessions, and when any of several is open. Pure.

`calendars` loads them from exchange_calendars.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import structlog

from producer_service.errors import CalendarUnavailable
from producer_service.exchanges import Trading
from producer_service.hours import ALWAYS_OPEN, EARLIEST, LATEST, Hours, Phase, Session
from watchlist.groups import ALWAYS

WARN_BEFORE_END = timedelta(days=60)
"""A warning is logged if a calendar ends within this time, since no later holidays are recorded in it."""

log = structlog.get_logger(__name__)


class Calendar(msgspec.Struct, frozen=True):
    """What is known of an exchange's hours. A lunch break ends one session, and another begins after it."""

    name: str
    zone: str
    """The exchange's time zone, as zoneinfo names it."""
    sessions: tuple[Session, ...]
    known_from: datetime
    known_to: datetime
    """Nothing is known before the one and from the other on, so the exchange counts as open then: a poll too many loses
    nothing."""

    def local(self, moment: datetime) -> datetime:
        """A moment in the exchange's own time."""
        return moment.astimezone(ZoneInfo(self.zone))

    def is_known(self, moment: datetime) -> bool:
        """Whether the sessions around a moment are known."""
        return self.known_from <= moment < self.known_to

    def days_off(self) -> Iterator[Session]:
        """The days without a session, each from midnight to midnight in the exchange's own time."""
        trading_days = {self.local(session.opens).date() for session in self.sessions}
        day, last = self.local(self.known_from).date(), self.local(self.known_to).date()
        while day < last:
            if day not in trading_days:
                yield Session(self._midnight(day), self._midnight(day + timedelta(days=1)))
            day += timedelta(days=1)

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, datetime.min.time(), ZoneInfo(self.zone)).astimezone(UTC)


OPEN_ALWAYS = Calendar(ALWAYS, "UTC", ALWAYS_OPEN, EARLIEST, LATEST)

LoadCalendar = Callable[[str, datetime], Calendar]
"""Loads the calendar of a name, for the time around a moment. Raises `CalendarUnavailable`."""


class MarketHours:
    """The hours of some calendars around `now`, until they are refreshed. Any thread may read them at any time.

    A calendar that cannot be loaded counts as open.
    """

    def __init__(self, names: Iterable[str], load: LoadCalendar, now: datetime) -> None:
        self._load = load
        self._loading = threading.Lock()
        self._snapshot = _Snapshot({name: _unknown(name, now) for name in sorted(set(names))})
        self.refresh(now)

    def include(self, names: Iterable[str], now: datetime) -> None:
        """Load the calendars of further names. The others stay as they are."""
        with self._loading:
            known = self._snapshot.calendars
            fresh = {name: _unknown(name, now) for name in sorted(set(names)) if name not in known}
            if fresh:
                self._snapshot = _Snapshot({**known, **self._loaded(fresh, now)})

    def refresh(self, now: datetime) -> None:
        """Load each calendar again, for the time around another moment. One that cannot be loaded stays as it is."""
        with self._loading:
            self._snapshot = _Snapshot(self._loaded(self._snapshot.calendars, now))

    def _loaded(self, known: Mapping[str, Calendar], now: datetime) -> dict[str, Calendar]:
        calendars = {name: self._refreshed(calendar, now) for name, calendar in known.items()}
        for calendar in calendars.values():
            if calendar.known_to < now + WARN_BEFORE_END:
                log.warning(
                    "calendar_ends",
                    calendar=calendar.name,
                    known_to=calendar.known_to.isoformat(),
                    action="it counts as open from then on; a newer release of exchange_calendars knows more",
                )
        return calendars

    def _refreshed(self, calendar: Calendar, now: datetime) -> Calendar:
        try:
            return self._load(calendar.name, now)
        except CalendarUnavailable as error:
            log.warning("calendar_unavailable", calendar=calendar.name, detail=str(error)[:300])
            return calendar

    def known_to(self) -> datetime:
        """The time up to which all calendars are known."""
        return min((calendar.known_to for calendar in self._snapshot.calendars.values()), default=LATEST)

    def calendar(self, name: str) -> Calendar:
        """One of the calendars."""
        return self._snapshot.calendars[name]

    def polled(self, tradings: frozenset[Trading], *, before: timedelta, after: timedelta, delay: timedelta) -> Hours:
        """When prices of any of some tradings may come.

        Each session is widened to `before` its calendar's open and `after` its close at least, and then by the longest
        delay.
        """
        snapshot, key = self._snapshot, (tradings, before, after, delay)
        hours = snapshot.polled.get(key)
        if hours is None:
            hours = snapshot.polled[key] = Hours(
                session
                for trading in tradings
                for session in Hours(
                    _sessions(snapshot.calendars[trading.calendar], trading),
                    before=max(before, trading.opens_earlier),
                    after=max(after, trading.closes_later + trading.settling) + max(delay, trading.delay),
                ).sessions
            )
        return hours

    def held_at(self, trading: Trading, moment: datetime, delay: timedelta) -> datetime | None:
        """The earliest event time of a session's last price that a poll at a moment cannot bring: see `Hours`."""
        return self._traded(trading).held_at(
            moment,
            settling=trading.settling + max(delay, trading.delay),
            stamped_before=trading.stamped_before_close,
        )

    def session(self, name: str, moment: datetime) -> Phase | None:
        """Whether an exchange trades by its calendar, without margins. None if that is not known."""
        snapshot = self._snapshot
        calendar = snapshot.calendars[name]
        if not calendar.is_known(moment):
            return None
        hours = snapshot.sessions.get(name)
        if hours is None:
            hours = snapshot.sessions[name] = Hours(calendar.sessions)
        return hours.phase(moment)

    def _traded(self, trading: Trading) -> Hours:
        snapshot = self._snapshot
        hours = snapshot.traded.get(trading)
        if hours is None:
            sessions = _sessions(snapshot.calendars[trading.calendar], trading)
            hours = Hours(sessions, before=trading.opens_earlier, after=trading.closes_later)
            snapshot.traded[trading] = hours
        return hours


class _Snapshot:
    """The calendars of one refresh, and the hours computed from them. They are replaced together."""

    def __init__(self, calendars: Mapping[str, Calendar]) -> None:
        self.calendars = calendars
        self.polled: dict[tuple[frozenset[Trading], timedelta, timedelta, timedelta], Hours] = {}
        self.traded: dict[Trading, Hours] = {}
        self.sessions: dict[str, Hours] = {}


def _sessions(calendar: Calendar, trading: Trading) -> Iterator[Session]:
    """When an exchange may trade."""
    yield Session(EARLIEST, calendar.known_from)
    yield from calendar.sessions
    if trading.doubtful_days_off:
        yield from calendar.days_off()
    yield Session(calendar.known_to, LATEST)


def _unknown(name: str, now: datetime) -> Calendar:
    """A calendar of which nothing is known."""
    return Calendar(name, "UTC", (), now, now)
