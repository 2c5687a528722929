"""The Yahoo source with the real yfinance: quotes, batches, connections and the rate of requests."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from producer_service.errors import ConfigurationError
from producer_service.sources.yahoo.source import MAX_BATCH, MAX_IN_FLIGHT, MAX_STALENESS, YahooSource
from tests.fakes.yahoo.local_yahoo import QUOTE_PATH, LocalYahoo
from tests.support.yahoo_sources import OPEN, SYMBOLS, MakeSource

BEFORE_OPEN = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)


def test_prices_arrive_as_exact_decimals_with_their_exchange_time(source: YahooSource) -> None:
    result = source.fetch(["AAPL", "^GSPC"], OPEN)

    assert [quote.symbol for quote in result.quotes] == ["AAPL", "^GSPC"]
    quote = result.quotes[0]
    assert abs(quote.event_time - OPEN) < timedelta(seconds=30)
    assert quote.price == round(quote.price, 4)
    assert quote.low is not None
    assert quote.high is not None
    assert Decimal(0) < quote.low <= quote.price <= quote.high
    assert (quote.source, quote.currency, quote.exchange) == ("yahoo", "USD", "NMS")
    assert (quote.market_state, quote.delay_minutes, quote.revision) == ("REGULAR", 0, 0)
    assert result.complete_to == OPEN - MAX_STALENESS
    assert not result.ended


def test_complete_to_allows_for_the_longest_delay(source: YahooSource) -> None:
    result = source.fetch(["AAPL", "7203.T"], OPEN)

    assert [(quote.currency, quote.delay_minutes) for quote in result.quotes] == [("USD", 0), ("JPY", 20)]
    assert result.complete_to == OPEN - MAX_STALENESS - timedelta(minutes=20)


def test_requests_fifty_symbols_at_a_time(source: YahooSource, yahoo: LocalYahoo) -> None:
    symbols = SYMBOLS[: MAX_BATCH + 1]

    result = source.fetch(symbols, OPEN)

    assert [quote.symbol for quote in result.quotes] == list(symbols)
    assert sorted(map(len, yahoo.requested_symbols())) == [1, MAX_BATCH]


def test_a_poll_is_one_request_once_there_is_a_crumb(source: YahooSource, yahoo: LocalYahoo) -> None:
    for _ in range(3):
        source.fetch(["AAPL"], OPEN)

    assert [request.path for request in yahoo.requests()] == [QUOTE_PATH] * 3
    assert len({request.connection for request in yahoo.requests()}) == 1


def test_connections_are_kept_from_poll_to_poll(make_source: MakeSource, yahoo: LocalYahoo) -> None:
    source = make_source(requests_burst=100)
    for _ in range(10):
        source.fetch(SYMBOLS, OPEN)

    assert len(yahoo.requests()) == 32  # cookie, crumb and ten times three batches
    assert len({request.connection for request in yahoo.requests(QUOTE_PATH)}) <= MAX_IN_FLIGHT


def test_all_requests_keep_to_the_rate_including_those_for_a_cookie(make_source: MakeSource, yahoo: LocalYahoo) -> None:
    source = make_source(requests_per_second=10, requests_burst=1)

    started = time.monotonic()
    assert len(source.fetch(SYMBOLS, OPEN).quotes) == len(SYMBOLS)
    seconds = time.monotonic() - started

    assert len(yahoo.requests()) == 5  # cookie, crumb and three batches
    assert seconds > 0.4  # a tenth of a second from each to the next


@pytest.mark.parametrize("dead", ["RIDE", "ADH", "ZZZZ"], ids=["type NONE", "typed without a price", "omitted"])
def test_a_dead_symbol_is_missing_and_its_neighbours_are_not(source: YahooSource, dead: str) -> None:
    result = source.fetch(["AAPL", dead, "MSFT"], OPEN)

    assert [quote.symbol for quote in result.quotes] == ["AAPL", "MSFT"]
    assert result.missing == (dead,)
    assert not result.failures
    assert not result.rejected


def test_a_quote_has_the_name_that_was_requested(source: YahooSource) -> None:
    """Yahoo responds in capitals."""
    assert [quote.symbol for quote in source.fetch(["aapl"], OPEN).quotes] == ["aapl"]


def test_extended_hours_include_the_price_before_the_open(make_source: MakeSource, yahoo: LocalYahoo) -> None:
    yahoo.set_clock(BEFORE_OPEN.timestamp())

    (regular,) = make_source().fetch(["AAPL"], BEFORE_OPEN).quotes
    yahoo.reset()
    (extended,) = make_source(extended_hours=True).fetch(["AAPL"], BEFORE_OPEN).quotes

    assert extended.market_state == "PRE"
    assert BEFORE_OPEN - timedelta(minutes=2) < extended.event_time <= BEFORE_OPEN + timedelta(minutes=1)
    assert regular.event_time < BEFORE_OPEN - timedelta(days=2)  # at the close on Friday
    assert extended.previous_close == regular.price != extended.price
    assert "preMarketPrice" in yahoo.requests(QUOTE_PATH)[0].query


def test_a_cache_directory_that_is_not_writable_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError, match="yfinance cannot keep its caches there"):
        YahooSource(cache_directory=tmp_path / "file")


def test_only_a_yahoo_source_imports_yfinance() -> None:
    program = """
import sys
import producer_service.sources.yahoo.source, producer_service.sources.replay.source, producer_service.sources.synthetic
sys.exit(any(name in sys.modules for name in ("yfinance", "pandas", "curl_cffi")))
"""
    subprocess.run([sys.executable, "-c", program], check=True)
