"""The sessions of an exchange, as the producer wrote them to the table of calendars."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from bars.sessions import Sessions, SymbolCalendar, YearItem, sessions_between, sessions_of_days
from query_api.ports import Table, texts

_YEARS = 100
"""The most items that one calendar can have."""


def read_sessions(table: Table, calendar: SymbolCalendar, start: datetime, end: datetime) -> Sessions:
    """The sessions of a calendar that overlap a range of time."""
    return sessions_between(calendar, start, end, _YearReader(table))


def read_days(table: Table, calendar: SymbolCalendar, start: datetime, end: datetime) -> Sessions:
    """All sessions of the exchange's days that have a session in a range of time."""
    return sessions_of_days(calendar, start, end, _YearReader(table))


class _YearReader:
    """Reads the items of a calendar's years."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __call__(self, calendar: str, first: str, last: str) -> Iterator[YearItem]:
        page = self._table.read(calendar, first, last, newest_first=False, limit=_YEARS)
        return map(texts, page.items)
