"""Writes the exchanges' sessions and the symbols' calendars to their table, so that readers know what to expect."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import islice

import structlog

from producer_service.errors import CalendarsUnavailable, CalendarUnavailable
from producer_service.group_state import GroupState
from producer_service.health import LOG_SECONDS
from producer_service.metrics import Metrics
from producer_service.session_years import (
    CalendarStore,
    Item,
    SessionYear,
    calendars_of,
    symbol_items,
    wanted_years,
    watched_items,
    watched_symbols,
)

LOOK_SECONDS = 20.0
"""How often it looks whether there is something to write."""
BATCH = 25
"""How many items are written at once: as many as BatchWriteItem takes."""

LoadYears = Callable[[str, range, datetime], Sequence[SessionYear]]
"""The sessions of a calendar for some years, each as far as it can be computed. Raises `CalendarUnavailable`."""

log = structlog.get_logger(__name__)


class SessionWriter:
    """Writes at the start, once on each day, and when other symbols are watched. A failed write is tried again.

    Only what has changed since this process wrote it is written. One thread calls `look`.
    """

    def __init__(
        self,
        store: CalendarStore,
        load: LoadYears,
        states: Callable[[], Sequence[GroupState]],
        metrics: Metrics,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._load = load
        self._states = states
        self._metrics = metrics
        self._now = now
        self._monotonic = monotonic
        self._written: dict[tuple[str, str], Item] = {}
        self._done: object = None  # what the last complete write was for
        self._logged_at = float("-inf")
        self.has_written = threading.Event()
        """Set once everything has been written, or there is nothing to write."""

    def look(self) -> None:
        """Write what is due. It takes a few seconds if calendars must be computed."""
        states, now = tuple(self._states()), self._now()
        watched = watched_symbols(states)
        years = wanted_years(states, now)
        wanted = (watched, years, now.date())
        if wanted == self._done:
            return
        try:
            zones: dict[str, str] = {}
            items: list[Item] = []
            for calendar in calendars_of(watched):
                for year in self._years(calendar, years, now):
                    zones[calendar] = year.zone
                    items.append(year.item())
            # The list comes after the symbols' calendars, so that each symbol of it has one.
            self._write([*symbol_items(watched, zones), *watched_items(watched), *items])
        except CalendarsUnavailable as error:
            self._metrics.session_write_failures.inc()
            if self._monotonic() - self._logged_at >= LOG_SECONDS:
                self._logged_at = self._monotonic()
                log.warning("sessions_not_written", detail=str(error)[:300], action="the query API has the ones before")
            return
        self._done = wanted
        self.has_written.set()

    def _years(self, calendar: str, years: Sequence[range], now: datetime) -> list[SessionYear]:
        try:
            return [year for each in years for year in self._load(calendar, each, now)]
        except CalendarUnavailable as error:
            log.warning("calendar_not_written", calendar=calendar, detail=str(error)[:300])
            return []

    def _write(self, items: Sequence[Item]) -> None:
        changed = iter([item for item in items if self._written.get(_key(item)) != item])
        count = 0
        while batch := list(islice(changed, BATCH)):
            self._store.put(batch)
            self._written |= {_key(item): item for item in batch}
            count += len(batch)
        if count:
            log.info("sessions_written", items=count)


def _key(item: Mapping[str, str]) -> tuple[str, str]:
    return item["id"], item["name"]
