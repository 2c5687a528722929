"""The sessions of an exchange, as the producer wrote them to the table of calendars."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from query_api.calendars import SymbolCalendar
from query_api.ports import Table, texts
from query_api.resolutions import ONE_DAY, span_of

ALWAYS = "always"
"""The calendar of symbols that trade around the clock. It has no sessions in the table: each day is one."""
_DAY = timedelta(days=1)
_YEARS = 100
"""The most items that one calendar can have."""

_decode = msgspec.json.Decoder(list[tuple[str, datetime, datetime]]).decode


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


def read_sessions(table: Table, calendar: SymbolCalendar, start: datetime, end: datetime) -> Sessions:
    """The sessions of a calendar that overlap a range of time."""
    if calendar.calendar == ALWAYS:
        return Sessions(list(_days(ZoneInfo(calendar.timezone), start, end)), start, end)
    # A session may begin in the evening before its day, and a year of the exchange is not one of UTC.
    first, last = (start - _DAY).year, (end + _DAY).year
    page = table.read(calendar.calendar, f"{first:04}", f"{last:04}", newest_first=False, limit=_YEARS)
    years = [texts(item) for item in page.items]
    sessions = [Session(*each) for year in years for each in _decode(year["sessions"])]
    found = [each for each in sessions if each.opens < end and each.closes > start]
    known_from, known_to = start, start
    for year in years:
        year_from, year_to = (datetime.fromisoformat(year[name]).astimezone(UTC) for name in ("known_from", "known_to"))
        if known_from == known_to or year_from > known_to:
            known_from = year_from
        known_to = year_to
    return Sessions(found, known_from, known_to)


def _days(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[Session]:
    moment = start
    while moment < end:
        span = span_of(moment, ONE_DAY, zone)
        yield Session(span.start.astimezone(zone).date().isoformat(), span.start, span.end)
        moment = span.end
