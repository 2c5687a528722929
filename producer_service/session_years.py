"""The sessions of exchanges as data: which calendar each symbol follows, and the sessions of each year. Pure.

The query API reads them from the table of calendars. An item has texts only: ARCHITECTURE.md describes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple, Protocol

from producer_service.exchanges import trading_of
from producer_service.group_state import GroupState
from quotes import to_iso
from watchlist.groups import ALWAYS, AUTO

BACK = timedelta(days=400)
"""How far back sessions are written at least."""
AHEAD = timedelta(days=120)
"""How far ahead sessions are written at least, as far as the exchange has announced them."""
SYMBOLS = "symbols"
"""The `id` of the items that name the calendar of a symbol."""

UNKNOWN = "unknown"
"""The calendar that is written of a symbol if nobody knows when it trades. It has no sessions."""
WATCHED = "watched"
"""The `id` of the items that list the symbols that are watched now."""
WATCHED_PER_ITEM = 1_000
"""How many symbols such an item lists, so that it stays far below the 400 KB that an item may have."""

Item = Mapping[str, str]
"""An item of the table. Its key is `id` and `name`."""


class DaySession(NamedTuple):
    """A span of time without a break in which an exchange trades. A day with a lunch break has two."""

    day: date
    """The exchange's own day, which a session that begins in the evening belongs to as a whole."""
    opens: datetime
    closes: datetime


class SessionYear(NamedTuple):
    """The sessions of an exchange's days of one year. Nothing is known before `known_from` and from `known_to` on."""

    calendar: str
    year: int
    zone: str
    sessions: tuple[DaySession, ...]
    known_from: datetime
    known_to: datetime

    def item(self) -> Item:
        """The item of the table."""
        sessions = [[each.day.isoformat(), _second(each.opens), _second(each.closes)] for each in self.sessions]
        return {
            "id": self.calendar,
            "name": str(self.year),
            "timezone": self.zone,
            "sessions": json.dumps(sessions, separators=(",", ":")),
            "known_from": _second(self.known_from),
            "known_to": _second(self.known_to),
        }


class Watched(NamedTuple):
    """The calendar of a symbol, and the zone that gives its days if the calendar has none."""

    calendar: str
    zone: str


class CalendarStore(Protocol):
    """The table of calendars."""

    def put(self, items: Iterable[Item]) -> None:
        """Write items over those with the same keys. Raises `CalendarsUnavailable`; some may be written then."""


def watched_symbols(states: Iterable[GroupState]) -> dict[str, Watched]:
    """The calendar of each symbol: when it trades, which is not always when it is polled.

    - A calendar that the user names for its group counts, such as XLON.
    - `always` says only that a group is polled at any time. Its symbols trade when their source says.
    - Of a symbol that is polled at any time because its name tells nothing, the calendar is `unknown`.
    - A recording is played at any time, so its symbols follow the exchanges that their names show. Symbols that trade
      around the clock then have the days of the recording's clock.
    """
    found: dict[str, Watched] = {}
    for state in states:
        recorded = state.traits.recorded
        zone = "UTC" if recorded is None else recorded.zone
        for symbol, trading in state.trading.items():
            own = trading
            if recorded is not None and state.group.calendar == AUTO:
                own = trading_of(symbol)
            elif state.group.calendar == ALWAYS:
                own = state.traits.trading(symbol)
            is_unknown = own.calendar == ALWAYS and not own.is_known
            found[symbol] = Watched(UNKNOWN if is_unknown else own.calendar, zone)
    return found


def wanted_years(states: Iterable[GroupState], now: datetime) -> tuple[range, ...]:
    """The years to write, as ranges: those around a moment, and those of recordings that are further back."""
    around = range((now - BACK).year, (now + AHEAD).year + 1)
    recorded = {year for state in states if state.traits.recorded for year in state.traits.recorded.years}
    past = sorted(recorded.difference(around))
    return (range(past[0], past[-1] + 1), around) if past and past[-1] < around.start else (around,)


def symbol_items(watched: Mapping[str, Watched], zones: Mapping[str, str]) -> Iterator[Item]:
    """The items of symbols. `zones` has the time zone of each calendar of which it is known."""
    for symbol, (calendar, zone) in sorted(watched.items()):
        yield {"id": SYMBOLS, "name": symbol, "calendar": calendar, "timezone": zones.get(calendar, zone)}


def watched_items(watched: Iterable[str]) -> Iterator[Item]:
    """The items that list the symbols that are watched now, and say how many such items there are."""
    symbols = sorted(watched)
    parts = [symbols[first : first + WATCHED_PER_ITEM] for first in range(0, len(symbols), WATCHED_PER_ITEM)]
    for number, part in enumerate(parts):
        listed = json.dumps(part, separators=(",", ":"))
        yield {"id": WATCHED, "name": f"{number:04}", "symbols": listed, "items": str(len(parts))}


def calendars_of(watched: Mapping[str, Watched]) -> list[str]:
    """The calendars that have sessions, by their names."""
    return sorted({each.calendar for each in watched.values()} - {ALWAYS, UNKNOWN})


def _second(moment: datetime) -> str:
    """A time in whole seconds, without the milliseconds of the quotes' form."""
    return to_iso(moment).replace(".000Z", "Z")
