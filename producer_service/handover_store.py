"""The state that a stopped producer leaves for the next one, and the protocol of the store that keeps it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from producer_service.deduplication import SymbolHistory
from producer_service.packing import Row


class UndeliveredState(msgspec.Struct, frozen=True):
    """Everything that a producer knows when it stops: its undelivered rows, and the history of each symbol."""

    lanes: int
    """The number of lanes of the producer that left it."""
    rows: tuple[Row, ...]
    """The undelivered rows, lane by lane, each lane's in their order."""
    histories: dict[str, SymbolHistory]

    @property
    def quotes(self) -> int:
        """The number of quotes in the rows."""
        return sum(row.quotes for row in self.rows)


class HandoverStore(Protocol):
    """Keeps undelivered states under keys that sort by the time at which they were written."""

    def put(self, key: str, state: UndeliveredState) -> None:
        """Store a state. Raises `HandoverUnavailable`."""

    def waiting(self) -> Iterable[str]:
        """The keys of the stored states, oldest first. Raises `HandoverUnavailable`."""

    def get(self, key: str) -> UndeliveredState | None:
        """The state under a key, or None if another producer took it meanwhile. Raises `HandoverUnavailable`."""

    def delete(self, key: str) -> None:
        """Remove a state. Removing it twice is not an error. Raises `HandoverUnavailable`."""
