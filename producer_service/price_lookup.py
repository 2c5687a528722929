"""Asks a source for prices once, for people to look at. Nothing is delivered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import msgspec

from producer_service.listener import OpenMarket, listen_until
from producer_service.polling import failure_of
from producer_service.sources import FetchResult, PolledSource, PushedSource, Source
from quotes import Quote
from watchlist.symbol_names import similar

LOOKUP_SECONDS = 30.0
"""How long a source may take to say something about every symbol."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a source said about one symbol."""

    symbol: str
    quote: Quote | None
    problem: str | None
    """Why there is no quote. None if there is one."""
    hint: str | None
    """What to ask the user about the symbol, or None."""


def look_up(
    source: Source, symbols: Sequence[str], now: Callable[[], datetime], seconds: float = LOOKUP_SECONDS
) -> list[Answer]:
    """Ask a source for some symbols, and close it. The answers are in the order of the symbols."""
    lookup = Lookup(symbols)
    if isinstance(source, PushedSource):
        listen_until(lookup.add, source, OpenMarket(symbols, now), seconds)
    else:
        _poll(lookup, source, symbols, now, seconds)
    return list(lookup.answers(source, seconds))


class Lookup:
    """Collects what results say about some symbols. The newest quote of a symbol counts."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self._symbols = symbols
        self._quotes: dict[str, Quote] = {}
        self._problems: dict[str, str] = {}
        self._missing: set[str] = set()
        self._open = set(symbols)
        self._paused_until: datetime | None = None

    def add(self, result: FetchResult) -> bool:
        """Take a result, and return whether the results said something about every symbol now."""
        self._quotes |= {quote.symbol: quote for quote in result.quotes}
        self._problems |= {each.symbol: f"refused: {each.reason}" for each in result.rejected}
        self._missing |= {*result.missing, *result.inactive}
        self._open -= self._quotes.keys() | self._problems.keys() | self._missing
        for failure in result.failures:
            problem = f"the request failed: {failure.reason}: {failure.detail}"
            self._problems |= dict.fromkeys(failure.symbols or self._symbols, problem)
        self._paused_until = result.paused_until or self._paused_until
        return not self._open

    def answers(self, source: Source, seconds: float) -> Iterator[Answer]:
        """An answer about each symbol, with a hint if its name is in doubt. `seconds` is how long the source had."""
        for symbol in self._symbols:
            quote = self._quotes.get(symbol)
            is_missing = quote is None and symbol not in self._problems
            hint = source.traits.hint(symbol, is_missing=is_missing)
            if hint is None and is_missing and (name := similar(symbol, source.symbols)) not in (None, symbol):
                hint = f"did you mean {name}?"
            problem = None if quote is not None else self._problem(symbol, seconds)
            yield Answer(symbol=symbol, quote=quote, problem=problem, hint=hint)

    def _problem(self, symbol: str, seconds: float) -> str:
        if symbol in self._problems:
            return self._problems[symbol]
        if symbol in self._missing:
            return "the source has no price of it"
        if self._paused_until is not None:
            return f"the source takes no request until {self._paused_until:%H:%M:%S} UTC"
        return f"no price came within {seconds:.0f} s"


def _poll(
    lookup: Lookup, source: PolledSource, symbols: Sequence[str], now: Callable[[], datetime], seconds: float
) -> None:
    deadline = time.monotonic() + seconds
    try:
        while True:
            result = source.fetch(symbols, now())
            if lookup.add(result) or not result.more or time.monotonic() > deadline:
                return
    except Exception as error:  # noqa: BLE001  (whatever a client library raises)
        lookup.add(FetchResult(failures=(failure_of(error, symbols),)))
    finally:
        source.close()
