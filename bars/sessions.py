"""The sessions of an exchange, and the items of the table of calendars that hold them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from bars.resolutions import ONE_DAY, span_of

ALWAYS = "always"
"""The calendar of symbols that trade around the clock. It has no sessions in the table: each day is one."""
UNKNOWN = "unknown"
"""The calendar of a symbol if nobody knows when it trades. It has no sessions in the table."""
SYMBOLS = "symbols"
"""The partition of the table of calendars that names the calendar of each symbol that was ever watched."""
WATCHED = "watched"
"""The partition that lists the symbols that are watched now."""
_DAY = timedelta(days=1)

_decode = msgspec.json.Decoder(list[tuple[str, datetime, datetime]]).decode

YearItem = Mapping[str, str]
"""The sessions of a calendar in one year, as an item of the table of calendars: texts by name."""


class SymbolCalendar(NamedTuple):
    """When a symbol is traded."""

    calendar: str
    """The name of its calendar, such as XNYS."""
    timezone: str
    """The time zone of its exchange, such as America/New_York."""

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of its exchange."""
        return ZoneInfo(self.timezone)

    @property
    def is_unknown(self) -> bool:
        """Whether nobody knows when the symbol trades."""
        return self.calendar == UNKNOWN

    @property
    def of_possible_trades(self) -> SymbolCalendar:
        """The calendar of the times at which there may be trades: at any time, if nobody knows better."""
        return self._replace(calendar=ALWAYS) if self.is_unknown else self


class Session(NamedTuple):
    """A span of time without a break in which an exchange trades. A day with a lunch break has two."""

    day: str
    """The exchange's day, which a session that begins in the evening before belongs to as a whole."""
    opens: datetime
    closes: datetime


class Sessions(NamedTuple):
    """The sessions that overlap a range of time, in order."""

    sessions: list[Session]
    known_from: datetime
    known_to: datetime
    """Sessions are known from the one moment to the other. Both are equal if nothing is known."""

    @property
    def is_known(self) -> bool:
        """Whether anything is known."""
        return self.known_from < self.known_to


def sessions_between(
    calendar: SymbolCalendar,
    start: datetime,
    end: datetime,
    read_years: Callable[[str, str, str], Iterable[YearItem]],
) -> Sessions:
    """The sessions of a calendar that overlap a range of time.

    `read_years` gets the name of the calendar, and the first and the last year. It returns their items in order.
    """
    if calendar.calendar == ALWAYS:
        return Sessions(list(_days(calendar.zone, start, end)), start, end)
    # A session may begin in the evening before its day, and a year of the exchange is not one of UTC.
    first, last = (start - _DAY).year, (end + _DAY).year
    years = list(read_years(calendar.calendar, f"{first:04}", f"{last:04}"))
    sessions = [Session(*each) for year in years for each in _decode(year["sessions"])]
    found = [each for each in sessions if each.opens < end and each.closes > start]
    known_from, known_to = start, start
    for year in years:
        year_from, year_to = (datetime.fromisoformat(year[name]).astimezone(UTC) for name in ("known_from", "known_to"))
        if known_from == known_to or year_from > known_to:
            known_from = year_from
        known_to = year_to
    return Sessions(found, known_from, known_to)


def sessions_of_days(
    calendar: SymbolCalendar,
    start: datetime,
    end: datetime,
    read_years: Callable[[str, str, str], Iterable[YearItem]],
) -> Sessions:
    """All sessions of the exchange's days that have a session in a range of time. So no day is cut."""
    found = sessions_between(calendar, start - _DAY, end + _DAY, read_years)
    days = {each.day for each in found.sessions if each.opens < end and each.closes > start}
    return found._replace(sessions=[each for each in found.sessions if each.day in days])


def _days(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[Session]:
    moment = start
    while moment < end:
        span = span_of(moment, ONE_DAY, zone)
        yield Session(span.start.astimezone(zone).date().isoformat(), span.start, span.end)
        moment = span.end
