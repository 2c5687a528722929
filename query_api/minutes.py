"""The minute bars of a symbol: those that are stored, and those that only the state of its lane has yet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

import lane_state
from bars.keys import ONE_MINUTE, KeyRange, bar_key
from indicators import NAMES, significant
from lane_state import LaneState, SymbolState
from query_api import json_text
from query_api.ports import Attribute, Item, Table
from query_api.stored_bars import StoredBars, key_of

MAX_MINUTES = 20_000
"""The most minutes that are read for one answer: ten weeks of a share, two weeks of a coin, about 12 MB."""


class Minutes:
    """The minutes of one symbol. Their number is bounded: see `is_cut`.

    A minute is stored a moment after the lane's state has decided it. So the state must be read before the table is.
    """

    def __init__(self, table: Table, symbol: str, lane: LaneState | None, most: int | None = None) -> None:
        self._table, self._symbol = table, symbol
        self._most = most or MAX_MINUTES
        self._stored = StoredBars(table, symbol, self._most)
        self.state: SymbolState | None = None if lane is None else lane.symbols.get(symbol)
        self.complete_to = None if lane is None else lane.complete_to
        """The minutes that end at or before it are closed."""
        current = None if self.state is None else self.state.bar
        self.open_minute = None if current is None else current.minute
        """The minute that is still open."""
        pending = [] if lane is None else [each.bar for each in lane.pending if each.bar is not None]
        fresh = [bar for bar in pending if bar.symbol == symbol] + ([] if current is None else [current])
        self._fresh = {bar_key(ONE_MINUTE, bar.minute): _item_of(bar) for bar in fresh}

    def settled(self, end: datetime | None) -> datetime | None:
        """The end of a range, if every minute before it is closed; otherwise None."""
        return end if end is not None and self.complete_to is not None and end <= self.complete_to else None

    @property
    def is_cut(self) -> bool:
        """Whether the last reading ended because too many minutes were read."""
        return self._stored.is_cut

    def allow_again(self) -> None:
        """Let as many minutes be read as before the first reading."""
        self._stored.allow_again()

    def coarser(self) -> StoredBars:
        """A reader of the symbol's stored bars of another length. It may read as many as of minutes."""
        return StoredBars(self._table, self._symbol, self._most)

    def read(self, keys: KeyRange, *, newest_first: bool, expected: int, only: tuple[str, ...] = ()) -> Iterator[Item]:
        """The minutes with these range keys. `only` names the attributes of stored ones that are needed.

        `expected` is how many the caller may take. If it takes more, they are read in further pages.
        """
        fresh = sorted((key for key in self._fresh if keys.first <= key <= keys.last), reverse=not newest_first)
        for item in self._stored.read(keys, newest_first=newest_first, expected=expected, only=only):
            key = key_of(item)
            while fresh and (fresh[-1] > key if newest_first else fresh[-1] < key):
                yield self._fresh[fresh.pop()]
            if fresh and fresh[-1] == key:  # it has been stored meanwhile
                fresh.pop()
                if self.open_minute is not None and key == bar_key(ONE_MINUTE, self.open_minute):
                    self.open_minute = None
            yield item
        if not self.is_cut:
            while fresh:
                yield self._fresh[fresh.pop()]


def _item_of(bar: lane_state.Bar) -> Item:
    """A minute of a lane's state, in the form of the table."""
    numbers = {
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "quotes": Decimal(bar.quotes),
        **({} if bar.volume is None else {"volume": Decimal(bar.volume)}),
        **{name: significant(bar.indicators[name]) for name in NAMES if name in bar.indicators},
    }
    return {"key": Attribute(S=bar_key(ONE_MINUTE, bar.minute))} | {
        name: Attribute(N=json_text.number(value)) for name, value in numbers.items()
    }
