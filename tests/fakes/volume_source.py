"""A source whose cumulative volume is as disturbed as real ones, and what was really traded."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from quotes import REGULAR, Quote
from tests.fakes.pipeline import make_quote

DAY = 86_400


class Market(NamedTuple):
    """When a market trades, and what its source says about it."""

    opens: int
    """When a session opens, in seconds after `OPEN`."""
    seconds: int
    """How long a session is."""
    has_state: bool
    """Whether the source gives a market state."""
    has_equal_closes: bool
    """Whether the previous close is always the same."""


NEW_YORK = Market(0, 23_400, has_state=True, has_equal_closes=False)
SYDNEY = Market(8 * 3600 + 1800, 21_600, has_state=True, has_equal_closes=False)
"""Its sessions cross midnight UTC."""
CHICAGO = Market(8 * 3600 + 1800, 23 * 3600, has_state=False, has_equal_closes=False)
"""A future. Its sessions cross midnight UTC, and only an hour is between them."""
UNCHANGED = Market(0, 23_400, has_state=True, has_equal_closes=True)
REPLAYED = Market(0, 23_400, has_state=False, has_equal_closes=False)
MARKETS = {
    "New York": NEW_YORK,
    "Sydney": SYDNEY,
    "Chicago": CHICAGO,
    "unchanged closes": UNCHANGED,
    "replayed": REPLAYED,
}


class Simulated(NamedTuple):
    """Quotes, and what was traded after the first of them."""

    quotes: list[Quote]
    traded: int


def simulate(market: Market, rng: Random, sessions: int = 4) -> Simulated:
    """Some sessions with polls at random times.

    The source gives no volume, zero or an older volume for some polls, counts trades later, and takes trades back. It
    says the final volume of each session at the end. By then the session has more volume than ever before, so that the
    bars can say it too.
    """
    quotes: list[Quote] = []
    traded = 0
    for day in range(sessions):
        words = _session(market, rng, day)
        traded += _last_word(words) - (0 if day else _first_word(words))
        quotes += words
    return Simulated(quotes, traded)


def _session(market: Market, rng: Random, day: int) -> list[Quote]:
    close = "98" if market.has_equal_closes else f"{90 + day}"
    start = day * DAY + market.opens
    times = sorted({*range(3_600, market.seconds, 10_800), *rng.sample(range(60, market.seconds - 60), 15)})
    counters = [rng.randint(1, 4_000)]
    quotes = [_quote(market, start + times[0], counters[0], close)]
    for time in times[1:]:
        counters.append(max(counters[-1] + rng.choice((0, rng.randint(1, 3_000), -rng.randint(1, 500))), 1))
        said = rng.choices((counters[-1], 0, None, rng.choice(counters)), (12, 1, 1, 2))[0]
        quotes.append(_quote(market, start + time, said, close))
    quotes.append(_quote(market, start + market.seconds - 30, max(counters) + rng.randint(9_000, 20_000), close))
    if market.has_state:  # until the next open, the source repeats what it said
        quotes += [replace(_moved(quotes[-1], hours), market_state="CLOSED") for hours in (1, 2)]
        quotes.append(replace(_moved(quotes[-1], 11), market_state="PRE"))
    return quotes


def _quote(market: Market, second: float, volume: int | None, close: str) -> Quote:
    quote = make_quote(second=second, volume=volume, previous_close=close)
    return replace(quote, market_state=REGULAR) if market.has_state else quote


def _moved(quote: Quote, hours: float) -> Quote:
    time = quote.event_time + timedelta(hours=hours)
    return replace(quote, event_time=time, ingest_time=time)


def _first_word(quotes: list[Quote]) -> int:
    return next(quote.volume for quote in quotes if quote.volume is not None)


def _last_word(quotes: list[Quote]) -> int:
    return next(quote.volume for quote in reversed(quotes) if quote.volume is not None)
