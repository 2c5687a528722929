"""Reads the stored bars of one symbol and one resolution, and what their items say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from bars.keys import KeyRange
from bars.provenance import ATTRIBUTE, STREAM
from bars.resolutions import Bar
from query_api.ports import Attribute, Item, Table


class StoredBars:
    """The stored bars of one symbol. How many are read is bounded: see `is_cut`."""

    def __init__(self, table: Table, symbol: str, most: int) -> None:
        self._table, self._symbol, self._most = table, symbol, most
        self._left = most
        self.is_cut = False
        """Whether the last reading ended because too many bars were read."""

    def allow_again(self) -> None:
        """Let as many bars be read as before the first reading."""
        self._left = self._most

    def read(self, keys: KeyRange, *, newest_first: bool, expected: int, only: tuple[str, ...] = ()) -> Iterator[Item]:
        """The items with these range keys, or only some of their attributes.

        `expected` is how many the caller may take. If it takes more, they are read in further pages.
        """
        self.is_cut = False
        after: str | None = None
        if keys.first > keys.last:
            return
        while self._left > 0:
            limit = min(self._left, max(expected, 1))
            page = self._table.read(self._symbol, *keys, newest_first=newest_first, limit=limit, after=after, only=only)
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
        provenance_of(item),
    )


def provenance_of(item: Item) -> str:
    """The provenance of a bar."""
    named = item.get(ATTRIBUTE)
    return STREAM if named is None else named.S or STREAM


def _decimal(attribute: Attribute) -> Decimal:
    return Decimal(attribute.N or 0)
