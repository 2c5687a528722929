"""A reproducible load of any size: the same quotes in the same order, from any index on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from quotes import Identity, Quote, to_iso

START = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
STEP = timedelta(seconds=1)
REVISED_EVERY = 10
"""One quote in this many is followed by a revision: another content at the same time."""


class QuoteLoad(msgspec.Struct, frozen=True):
    """`quotes` quotes of `symbols` symbols, about 310 bytes each on the wire."""

    quotes: int
    symbols: int = 500

    def names(self) -> tuple[str, ...]:
        """The names of the symbols."""
        return tuple(f"SYM{number:05d}" for number in range(self.symbols))

    def identities(self) -> set[tuple[str, str, int]]:
        """Every quote that must arrive: symbol, event time as on the wire, revision."""
        return {
            (symbol, to_iso(event_time), revision)
            for symbol, event_time, revision in (self.identity(index) for index in range(self.quotes))
        }

    def identity(self, index: int) -> Identity:
        """The identity of a quote. Symbols take turns, and one turn in ten has two quotes of the same time."""
        pair, is_revision = self._turn(index)
        tick, number = divmod(pair, self.symbols)
        return Identity(f"SYM{number:05d}", START + tick * STEP, is_revision)

    def slice(self, first: int, last: int) -> Iterator[Quote]:
        """The quotes from an index up to another, with the revisions that they should arrive with."""
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
        """The turn of an index, and 1 if it is the second quote of its turn, else 0."""
        rounds, place = divmod(index, REVISED_EVERY + 1)
        return rounds * REVISED_EVERY + max(0, place - 1), int(place == 1)
