"""The calendar and time zone of each symbol, as the producer wrote them. They are kept for a minute."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bars.sessions import SYMBOLS, SymbolCalendar
from query_api.ports import Table, texts

SECONDS = 60.0
"""How long they are kept. The producer writes them at its start and once a day."""
_PAGE = 1_000


class SymbolCalendars:
    """The calendars of all symbols that were ever watched."""

    def __init__(self, table: Table, monotonic: Callable[[], float]) -> None:
        self._table, self._monotonic = table, monotonic
        self._kept: Mapping[str, SymbolCalendar] = {}
        self._read_at: float | None = None

    def all(self) -> Mapping[str, SymbolCalendar]:
        """The calendars by symbol."""
        now = self._monotonic()
        if self._read_at is None or now - self._read_at >= SECONDS:
            self._kept, self._read_at = self._read(), now
        return self._kept

    def _read(self) -> dict[str, SymbolCalendar]:
        found: dict[str, SymbolCalendar] = {}
        after: str | None = None
        while True:
            page = self._table.read(SYMBOLS, "!", "~", newest_first=False, limit=_PAGE, after=after)
            for item in page.items:
                names = texts(item)
                after = names["name"]
                found[after] = SymbolCalendar(names["calendar"], names["timezone"])
            if page.is_last:
                return found
