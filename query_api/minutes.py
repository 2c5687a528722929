"""The minute bars of a symbol: those that are stored, and those that only the state of its lane has yet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

import lane_state
from bars.keys import ONE_MINUTE, KeyRange, bar_key
from bars.resolutions import Bar
from indicators import NAMES, significant
from lane_state import LaneState, SymbolState
from query_api import json_text
from query_api.ports import Attribute, Item, Table

MAX_MINUTES = 20_000
"""The most minutes that are read for one answer: ten weeks of a share, two weeks of a coin, about 12 MB."""


class Minutes:
    """The minutes of one symbol. Their number is bounded: see `is_cut`.

    A minute is stored a moment after the lane's state has decided it. So the state must be read before the table is.
    """

    def __init__(self, table: Table, symbol: str, lane: LaneState | None, most: int | None = None) -> None:
        self._table, self._symbol = table, symbol
        self._left = self._most = most or MAX_MINUTES
        self.state: SymbolState | None = None if lane is None else lane.symbols.get(symbol)
        self.complete_to = None if lane is None else lane.complete_to
        """The minutes that end at or before it are closed."""
        current = None if self.state is None else self.state.bar
        self.open_minute = None if current is None else current.minute
        """The minute that is still open."""
        self.is_cut = False
        """Whether the last reading ended because too many minutes were read."""
        pending = [] if lane is None else [each.bar for each in lane.pending if each.bar is not None]
        fresh = [bar for bar in pending if bar.symbol == symbol] + ([] if current is None else [current])
        self._fresh = {bar_key(ONE_MINUTE, bar.minute): _item_of(bar) for bar in fresh}

    def settled(self, end: datetime | None) -> datetime | None:
        """The end of a range, if every minute before it is closed; otherwise None."""
        return end if end is not None and self.complete_to is not None and end <= self.complete_to else None

    def allow_again(self) -> None:
        """Let as many minutes be read as before the first reading."""
        self._left = self._most

    def read(self, keys: KeyRange, *, newest_first: bool, expected: int) -> Iterator[Item]:
        """The minutes with these range keys.

        `expected` is how many the caller may take. If it takes more, they are read in further pages.
        """
        self.is_cut = False
        fresh = sorted((key for key in self._fresh if keys.first <= key <= keys.last), reverse=not newest_first)
        for item in self._stored(keys, newest_first=newest_first, expected=expected):
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

    def _stored(self, keys: KeyRange, *, newest_first: bool, expected: int) -> Iterator[Item]:
        after: str | None = None
        if keys.first > keys.last:
            return
        while self._left > 0:
            limit = min(self._left, max(expected, 1))
            page = self._table.read(self._symbol, *keys, newest_first=newest_first, limit=limit, after=after)
            self._left -= len(page.items)
            yield from page.items
            if page.is_last:
                return
            expected -= len(page.items)
            after = key_of(page.items[-1]) if page.items else after
        self.is_cut = True


def key_of(item: Item) -> str:
    """The range key of a bar."""
    return item["key"].S or ""


def start_text_of(item: Item) -> str:
    """The start of a bar, as text."""
    return key_of(item).rpartition("#")[2]


def start_of(item: Item) -> datetime:
    """The start of a bar."""
    return datetime.fromisoformat(start_text_of(item))


def bar_of(item: Item) -> Bar:
    """The bar of an item."""
    volume = item.get("volume")
    return Bar(
        start_of(item),
        _decimal(item["open"]),
        _decimal(item["high"]),
        _decimal(item["low"]),
        _decimal(item["close"]),
        None if volume is None or volume.N is None else int(volume.N),
        int(item["quotes"].N or 0),
    )


def _decimal(attribute: Attribute) -> Decimal:
    return Decimal(attribute.N or 0)


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
