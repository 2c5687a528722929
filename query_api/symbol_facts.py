"""What is known of a symbol: its lane's state, its calendar and its time zone."""

from __future__ import annotations

from typing import NamedTuple
from zoneinfo import ZoneInfo

from bars.sessions import SymbolCalendar
from lane_state import LaneState
from query_api.ports import Stores

NO_ZONE = "UTC"
"""The time zone of a symbol of which the producer has written none."""


class SymbolFacts(NamedTuple):
    """What is known of a symbol without its bars and quotes."""

    symbol: str
    lane: LaneState | None
    calendar: SymbolCalendar | None

    @property
    def is_known(self) -> bool:
        """Whether the symbol has a state or a calendar."""
        return self.calendar is not None or (self.lane is not None and self.symbol in self.lane.symbols)

    @property
    def timezone(self) -> str:
        """The name of the time zone in which its days begin."""
        return NO_ZONE if self.calendar is None else self.calendar.timezone

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which its days begin."""
        return ZoneInfo(self.timezone)

    @property
    def currency(self) -> str | None:
        """The currency of its prices, if the source gave one."""
        state = None if self.lane is None else self.lane.symbols.get(self.symbol)
        return None if state is None else state.currency


def facts_of(symbol: str, stores: Stores) -> SymbolFacts:
    """What is known of a symbol."""
    return SymbolFacts(symbol, stores.lanes.of_symbol(symbol), stores.calendars.all().get(symbol))
