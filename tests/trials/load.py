"""A seeded market of any size: the same quotes in the same order, from any place on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from producer_service.sources import FetchResult, SourceTraits
from quotes import Identity, Quote, to_iso

START = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
STEP = timedelta(seconds=1)
REVISED_EVERY = 10
"""One quote in so many is followed by another content at the same time."""


class Load(msgspec.Struct, frozen=True):
    """`quotes` quotes of `symbols` symbols, about 310 bytes each on the wire."""

    quotes: int
    symbols: int = 500

    def names(self) -> tuple[str, ...]:
        """The symbols."""
        return tuple(f"SYM{number:05d}" for number in range(self.symbols))

    def identities(self) -> set[tuple[str, str, int]]:
        """What must arrive: symbol, event time as on the wire, revision."""
        return {
            (symbol, to_iso(event_time), revision)
            for symbol, event_time, revision in (self.identity(index) for index in range(self.quotes))
        }

    def identity(self, index: int) -> Identity:
        """The identity of a quote; symbols take turns, and one turn in ten is two of one time."""
        pair, is_revision = self._turn(index)
        tick, number = divmod(pair, self.symbols)
        return Identity(f"SYM{number:05d}", START + tick * STEP, is_revision)

    def slice(self, first: int, last: int) -> Iterator[Quote]:
        """The quotes from an index up to another, revised as they should arrive."""
        for index in range(first, min(last, self.quotes)):
            symbol, event_time, revision = self.identity(index)
            cents = 10_000 + index % 997
            yield Quote(
                symbol=symbol,
                event_time=event_time,
                revision=revision,
                price=Decimal(cents) / 100,
                source="synthetic",
                ingest_time=event_time + timedelta(milliseconds=150),
                open=Decimal("100.5"),
                high=Decimal("110.25"),
                low=Decimal("99.75"),
                previous_close=Decimal("101.5"),
                volume=1_000_000 + index,
                currency="USD",
                exchange="SYN",
                market_state="REGULAR",
                delay_minutes=0,
            )

    def _turn(self, index: int) -> tuple[int, int]:
        """The turn that an index falls into, and whether it is the turn's second quote (0 or 1)."""
        rounds, place = divmod(index, REVISED_EVERY + 1)
        return rounds * REVISED_EVERY + max(0, place - 1), int(place == 1)


class LoadSource:
    """The load as a source of the producer. A producer that was killed goes on where its accepted log ends."""

    traits = SourceTraits(is_live=True)

    def __init__(self, load: Load, *, first: int = 0, quotes_a_fetch: int = 2_000) -> None:
        self.symbols = load.names()
        self._load = load
        self._next = first
        self._quotes_a_fetch = quotes_a_fetch

    def fetch(self, symbols: Sequence[str], now: datetime) -> FetchResult:  # noqa: ARG002  (as `Source` has it)
        """The next quotes, whatever is asked for."""
        last = self._next + self._quotes_a_fetch
        quotes = tuple(replace(quote, revision=0) for quote in self._load.slice(self._next, last))
        self._next = last
        return FetchResult(quotes=quotes, more=last < self._load.quotes, ended=last >= self._load.quotes)

    def close(self) -> None:
        """Nothing to give back."""
