"""Where quotes come from: the one small protocol that every source keeps, and its values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from quotes import Quote

FailureReason = Literal["rate_limited", "unauthorized", "server_error", "malformed", "timeout", "connection", "stopped"]
"""Why a request brought nothing. `stopped` is no fault of the source's: it was told to end."""


class Rejected(msgspec.Struct, frozen=True):
    """What a source said of a symbol and no quote may hold: a price that is not finite, a time in the future."""

    symbol: str
    reason: str


class Failure(msgspec.Struct, frozen=True):
    """A request that brought nothing, and the symbols that it was for."""

    reason: FailureReason
    detail: str
    symbols: tuple[str, ...]


class FetchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one fetch brought.

    Of a source that is asked symbol by symbol (Yahoo), each symbol of the fetch is in `quotes`, `rejected`, `missing`,
    a failure or `set_aside`; of a source that is paused, only in `set_aside` or nowhere.
    """

    quotes: tuple[Quote, ...] = ()
    """All of revision 0; each symbol's in the order of their event times."""
    rejected: tuple[Rejected, ...] = ()
    missing: tuple[str, ...] = ()
    """The symbols asked for of which the source, when it answered, knew no price."""
    set_aside: tuple[str, ...] = ()
    """The symbols of this fetch that have been missing for so long that they are asked for once a day alone."""
    failures: tuple[Failure, ...] = ()
    paused_until: datetime | None = None
    """The source asks for nothing before this time, since its breaker is open (aware UTC)."""
    complete_to: datetime | None = None
    """No quote of these symbols with an earlier event time is still to come; None where a failure forbids to say so."""
    more: bool = False
    """More is due at once: fetch again without waiting for the next poll."""
    ended: bool = False
    """The source has nothing left and never will (a replay at its end)."""


class Source(Protocol):
    """A source of quotes. Not thread-safe: one poll at a time."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols it serves when the user names none; empty where it cannot know them (Yahoo)."""

    def fetch(self, symbols: Sequence[str], now: datetime) -> FetchResult:
        """The quotes of some symbols that are due at `now` (aware UTC). Trouble is a value; it does not raise."""

    def close(self) -> None:
        """Give back connections and files. Not while a fetch is under way, unless the source says that it may."""
