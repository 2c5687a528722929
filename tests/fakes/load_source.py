"""A reproducible load as a source of the producer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from benchmarks.load import QuoteLoad
from producer_service.sources import FetchResult, SourceTraits


class LoadSource:
    """Delivers a load, whatever symbols are fetched. `first` is the index of its first quote."""

    traits = SourceTraits(is_live=True)

    def __init__(self, load: QuoteLoad, *, first: int = 0, quotes_per_fetch: int = 2_000) -> None:
        self.symbols = load.names()
        self._load = load
        self._next = first
        self._quotes_per_fetch = quotes_per_fetch

    def fetch(self, symbols: Sequence[str], now: datetime) -> FetchResult:  # noqa: ARG002  (the protocol's arguments)
        last = self._next + self._quotes_per_fetch
        quotes = tuple(replace(quote, revision=0) for quote in self._load.slice(self._next, last))
        self._next = last
        return FetchResult(quotes=quotes, more=last < self._load.quotes, ended=last >= self._load.quotes)

    def close(self) -> None:
        pass
