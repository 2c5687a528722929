"""Where quotes come from: the protocol of a source, and the values that it delivers.

The producer asks a polled source at intervals, and a pushed source calls the producer. The module `definition` says how
a source is described and opened, and `registry` lists all sources.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol, runtime_checkable

import msgspec
from msgspec.structs import replace

from producer_service.exchanges import Trading
from quotes import Action, Quote
from watchlist.groups import ALWAYS
from yahoo_requests.errors import FailureReason

GapReason = Literal["disconnected", "refused", "stalled"]
"""Why pushed quotes may be missing: the connection ended or could not be opened, the source refused it, or it was open
and brought nothing while it should have."""

MAX_SILENCE = timedelta(seconds=60)
"""The longest that a pushed source may take from one result to the next."""


class Rejected(msgspec.Struct, frozen=True):
    """A symbol whose data no quote may hold, such as a price that is not finite or a time in the future."""

    symbol: str
    reason: str


class Failure(msgspec.Struct, frozen=True):
    """A request that brought nothing."""

    reason: FailureReason
    detail: str
    symbols: tuple[str, ...]
    """The symbols that the request was for."""


class ConnectionReport(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to the connection of a pushed source since its last result."""

    connected_since: datetime | None
    """When the connection was opened (aware UTC). None while there is none."""
    gap_since: datetime | None
    """Since when quotes may be missing, because the connection was lost. None if nothing is missing."""
    messages: int = 0
    """The messages that were received, garbage included."""
    garbage: int = 0
    """The messages that no quote can be made of."""
    lags: tuple[float, ...] = ()
    """The seconds from the exchange's time of each trade to its receipt."""
    gaps: tuple[GapReason, ...] = ()
    """The gaps that began."""
    reconnects: int = 0
    """The connections that were opened after the first one."""
    missed: int = 0
    """The quotes of polls that are newer than everything that was pushed of their symbols."""
    corrected: int = 0
    """The quotes of polls that replace what was pushed."""


class FetchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a source delivers at once: the result of one fetch, or of one push.

    If a source is asked symbol by symbol, as Yahoo is, each symbol of a fetch is in `quotes`, `rejected`, `missing`,
    `inactive` or a failure. While the source is paused, a symbol is in `inactive` or nowhere.
    """

    quotes: tuple[Quote, ...] = ()
    """All of them have revision 0. The quotes of one symbol are in the order of their event times."""
    rejected: tuple[Rejected, ...] = ()
    dropped_fields: int = 0
    """How many optional values of the quotes were left out, because no quote can hold them."""
    missing: tuple[str, ...] = ()
    """The symbols of the request without a price."""
    inactive: tuple[str, ...] = ()
    """The symbols of this fetch that have been missing for so long that the source asks for them only once a day."""
    failures: tuple[Failure, ...] = ()
    actions: tuple[Action, ...] = ()
    """Corporate actions, of any symbols of the source. The same action may be delivered again at any time."""
    rejected_actions: tuple[Rejected, ...] = ()
    """Actions that the source declares in a form that no action may have."""
    paused_until: datetime | None = None
    """The source sends no request before this time (aware UTC), because its breaker is open."""
    complete_to: datetime | None = None
    """The source delivers no more quotes of these symbols with an earlier event time. None after a failure."""
    more: bool = False
    """The source has more quotes that are due now, so it should be fetched again without waiting for the next poll."""
    ended: bool = False
    """The source has no quotes left and never will have, like a replay at its end."""
    is_push: bool = False
    """The quotes were pushed, so the result says nothing about symbols that it does not name."""
    asked_at: datetime | None = None
    """When a pushed source that also polls began the poll of this result. None for all other results."""
    asked: tuple[str, ...] | None = None
    """The symbols that this poll asked for. None: all of the source, or what was pushed."""
    connection: ConnectionReport | None = None
    """The connection of a pushed source, if it reports one."""

    def for_symbols(self, symbols: Collection[str]) -> FetchResult:
        """The part of this result that concerns some symbols. If none of them was asked for, it is no poll of them."""
        is_asked = self.asked is None or any(symbol in symbols for symbol in self.asked)
        return replace(
            self,
            complete_to=self.complete_to if is_asked else None,
            is_push=self.is_push or not is_asked,
            quotes=tuple(quote for quote in self.quotes if quote.symbol in symbols),
            rejected=tuple(rejected for rejected in self.rejected if rejected.symbol in symbols),
            missing=tuple(symbol for symbol in self.missing if symbol in symbols),
            inactive=tuple(symbol for symbol in self.inactive if symbol in symbols),
            actions=tuple(action for action in self.actions if action.symbol in symbols),
            rejected_actions=tuple(rejected for rejected in self.rejected_actions if rejected.symbol in symbols),
            failures=tuple(
                replace(failure, symbols=concerned)
                for failure in self.failures
                if (concerned := tuple(symbol for symbol in failure.symbols if symbol in symbols))
            ),
        )


def never_closes(_symbol: str) -> Trading:
    """The trading of a symbol that trades at any time, and whose prices come without delay."""
    return Trading(calendar=ALWAYS)


class SymbolHint(Protocol):
    """Says what to ask a user about a symbol, such as `did you mean AAPL?`, or None.

    If the source has a price of the symbol, a hint is due only for a name that the source writes in another way. If the
    symbol `is_missing`, any guess helps.
    """

    def __call__(self, symbol: str, *, is_missing: bool) -> str | None:
        """The question or the advice, or None."""


def no_hint(symbol: str, *, is_missing: bool) -> str | None:  # noqa: ARG001
    """The hint of a source that knows nothing of the names of its symbols."""
    return None


class RecordedSpan(msgspec.Struct, frozen=True):
    """When the quotes of a recording are from."""

    zone: str
    """The time zone of its clock. Its days begin at midnight in this zone."""
    years: tuple[int, ...]
    """The years from its first quote to its last."""


class SourceTraits(msgspec.Struct, frozen=True, kw_only=True):
    """The properties of a source that decide how its groups are scheduled and measured, and what to ask its users."""

    is_live: bool
    """Whether its quotes are from the present. The event times of a recording say nothing about freshness."""
    trading: Callable[[str], Trading] = never_closes
    """Says when a symbol trades and how late its prices come. The user may name another calendar."""
    hint: SymbolHint = no_hint
    recorded: RecordedSpan | None = None
    """When its quotes are from, if it plays a recording."""


def doubtful_names(symbols: Iterable[str], traits: SourceTraits) -> Iterator[tuple[str, str]]:
    """The symbols whose source writes their names in another way, each with its hint."""
    for symbol in symbols:
        hint = traits.hint(symbol, is_missing=False)
        if hint is not None:
            yield symbol, hint


class PolledSource(Protocol):
    """A source that is asked for quotes. Not thread-safe: one fetch at a time."""

    @property
    def traits(self) -> SourceTraits:
        """The properties of this source."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols it serves if the user names none. Empty if it cannot know them, like Yahoo."""

    def fetch(self, symbols: Sequence[str], now: datetime) -> FetchResult:
        """Return the quotes of some symbols that are due at `now` (aware UTC). Failures are part of the result."""

    def close(self) -> None:
        """Release connections and files. Not during a fetch, unless the source says that it allows it."""


@runtime_checkable
class ForgettingSource(Protocol):
    """A polled source that remembers symbols, such as those without a price."""

    def forget(self, symbols: Iterable[str]) -> None:
        """Forget some symbols, so that they begin anew if they are asked for again. Not during a fetch."""


class Market(Protocol):
    """What a pushed source may know of the producer: the time, and the hours of its symbols. Thread-safe."""

    def now(self) -> datetime:
        """The time, aware UTC in whole milliseconds."""

    def due(self) -> tuple[str, ...]:
        """The symbols for which a poll is worth it now."""

    def trading(self) -> tuple[str, ...]:
        """The symbols of groups of which an exchange is in its session. They are due, too."""


@runtime_checkable
class PushedSource(Protocol):
    """A source that delivers quotes when they come, for example over a WebSocket."""

    @property
    def traits(self) -> SourceTraits:
        """The properties of this source."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols it serves if the user names none. Empty if it cannot know them."""

    def listen(self, deliver: Callable[[FetchResult], None], market: Market) -> None:
        """Connect, and call `deliver` with each result until the source is closed or the connection ends.

        It delivers one result at a time, and at least one every `MAX_SILENCE`. If there are no quotes, the result
        has only `complete_to`, which lets bars close. `deliver` blocks while the outbox is full; an exception
        of it must not be caught. `listen` may raise, and it may be called again after it returned or raised.
        """

    def close(self) -> None:
        """Make `listen` return soon, from any thread, and release the connection."""


Source = PolledSource | PushedSource
