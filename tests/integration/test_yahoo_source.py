"""The real yfinance against a stand-in of Yahoo, reached by environment variables alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from producer_service.errors import ConfigurationError
from producer_service.sources.yahoo import MAX_BATCH, MAX_STALENESS, YahooSource
from tests.integration.yahoo_standin import YahooStandin

OPEN = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)  # a Monday, half an hour into New York's session
TOO_MANY = tuple(f"S{number}" for number in range(2 * MAX_BATCH + 20))

Make = Callable[..., YahooSource]


@pytest.fixture
def make_source(
    yahoo: YahooStandin, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> Iterator[Make]:
    """Sources as the service makes them, in a process whose environment leads to the stand-in."""
    del recwarn  # yfinance puts warning filters of its own in place; they go with the test
    yahoo.reset()
    yahoo.set_clock(OPEN.timestamp())
    for name, value in yahoo.environment.items():
        monkeypatch.setenv(name, value)
    made: list[YahooSource] = []

    def make(**options: object) -> YahooSource:
        made.append(YahooSource(**options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for source in made:
        source.close()


@pytest.fixture
def source(make_source: Make, yahoo: YahooStandin) -> YahooSource:
    """One that has its cookie and crumb, before a stand-in that has forgotten how it got them."""
    source = make_source()
    assert source.fetch(["S1"], OPEN).failures == ()
    yahoo.reset()
    return source


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


def test_asks_for_fifty_symbols_a_request(source: YahooSource, yahoo: YahooStandin) -> None:
    symbols = TOO_MANY[: MAX_BATCH + 1]

    result = source.fetch(symbols, OPEN)

    assert [quote.symbol for quote in result.quotes] == list(symbols)
    assert yahoo.asked_symbols() == [list(symbols[:MAX_BATCH]), list(symbols[MAX_BATCH:])]


def test_one_request_a_poll_once_the_crumb_is_there(source: YahooSource, yahoo: YahooStandin) -> None:
    for _ in range(3):
        source.fetch(["AAPL"], OPEN)

    assert [request["path"] for request in yahoo.requests()] == ["/v7/finance/quote"] * 3
    assert len({request["conn"] for request in yahoo.requests()}) == 1


@pytest.mark.parametrize("dead", ["RIDE", "ADH", "ZZZZ"], ids=["type NONE", "typed and priceless", "left out"])
def test_a_dead_symbol_is_missing_and_its_neighbours_are_not(source: YahooSource, dead: str) -> None:
    result = source.fetch(["AAPL", dead, "MSFT"], OPEN)

    assert [quote.symbol for quote in result.quotes] == ["AAPL", "MSFT"]
    assert result.missing == (dead,)
    assert not result.failures
    assert not result.rejected


def test_answers_under_the_name_that_was_asked(source: YahooSource, yahoo: YahooStandin) -> None:
    body = '{"quoteResponse":{"result":[{"symbol":"AAPL","regularMarketPrice":171.62,"regularMarketTime":1795446000}]}}'
    yahoo.misbehave(status=200, body=body)

    assert [quote.symbol for quote in source.fetch(["aapl"], OPEN).quotes] == ["aapl"]


def test_an_expired_crumb_is_renewed_unseen(source: YahooSource, yahoo: YahooStandin) -> None:
    yahoo.forget_crumbs()

    result = source.fetch(["AAPL"], OPEN)

    assert len(result.quotes) == 1
    assert [request["status"] for request in yahoo.requests("/v7/")] == [401, 200]


def test_a_crumb_that_stays_refused_is_unauthorized(source: YahooSource, yahoo: YahooStandin) -> None:
    yahoo.misbehave(status=401, body='{"finance":{"result":null,"error":{"code":"Unauthorized"}}}', times=-1)

    result = source.fetch(TOO_MANY, OPEN)

    assert {failure.reason for failure in result.failures} == {"unauthorized"}
    assert len(yahoo.asked_symbols()) == 2  # the first batch, and once more after yfinance's renewal


def test_too_many_requests_ends_the_poll(source: YahooSource, yahoo: YahooStandin) -> None:
    yahoo.misbehave(status=429, body="Too Many Requests\r\n", times=-1)

    result = source.fetch(TOO_MANY, OPEN)

    assert [failure.reason for failure in result.failures] == ["rate_limited"] * 3
    assert [symbol for failure in result.failures for symbol in failure.symbols] == list(TOO_MANY)
    assert not result.quotes
    assert not result.missing
    assert result.complete_to is None
    assert {tuple(symbols) for symbols in yahoo.asked_symbols()} == {TOO_MANY[:MAX_BATCH]}


def test_too_many_requests_for_a_crumb_are_too_many_requests(make_source: Make, yahoo: YahooStandin) -> None:
    """yfinance then asks for quotes without a crumb, and brings the 401 of that."""
    yahoo.misbehave("getcrumb", status=429, body="Too Many Requests\r\n", times=-1)
    source = make_source()

    assert [failure.reason for failure in source.fetch(TOO_MANY, OPEN).failures] == ["rate_limited"] * 3

    yahoo.reset()
    assert len(source.fetch(TOO_MANY, OPEN).quotes) == len(TOO_MANY)


@pytest.mark.parametrize(
    ("reason", "rule"),
    [
        ("server_error", {"status": 500, "body": "oops"}),
        ("server_error", {"status": 503, "body": "<html>unavailable</html>", "type": "text/html"}),
        ("malformed", {"status": 200, "body": "<!DOCTYPE html><html>consent</html>", "type": "text/html"}),
        ("malformed", {"status": 200, "body": '{"quoteResponse":{"result":[{"symbol":"AAPL","regularMar'}),
        ("malformed", {"status": 404, "body": '{"finance":{"result":null}}'}),
        ("connection", {"drop": True}),
    ],
    ids=["500", "503", "html", "truncated", "404", "dropped"],
)
def test_trouble_is_a_value_and_passes(
    source: YahooSource, yahoo: YahooStandin, reason: str, rule: dict[str, Any]
) -> None:
    yahoo.misbehave(**rule, times=-1)

    result = source.fetch(["AAPL", "MSFT"], OPEN)

    assert [(failure.reason, failure.symbols) for failure in result.failures] == [(reason, ("AAPL", "MSFT"))]
    assert not result.quotes
    assert not result.missing
    assert result.complete_to is None

    yahoo.reset()
    assert len(source.fetch(["AAPL", "MSFT"], OPEN).quotes) == 2


def test_a_failed_batch_leaves_the_others_their_quotes(source: YahooSource, yahoo: YahooStandin) -> None:
    yahoo.misbehave(status=500, times=2)  # yfinance asks again once

    result = source.fetch(TOO_MANY, OPEN)

    assert [failure.symbols for failure in result.failures] == [TOO_MANY[:MAX_BATCH]]
    assert [quote.symbol for quote in result.quotes] == list(TOO_MANY[MAX_BATCH:])
    assert result.complete_to is None


def test_a_slow_answer_is_a_timeout(make_source: Make, yahoo: YahooStandin) -> None:
    source = make_source(timeout_seconds=0.3)
    source.fetch(["AAPL"], OPEN)
    yahoo.misbehave(delay=1, times=1)

    assert [failure.reason for failure in source.fetch(["AAPL"], OPEN).failures] == ["timeout"]
    assert source.fetch(["AAPL"], OPEN).failures == ()


def test_the_way_to_a_crumb_is_bounded_too(make_source: Make, yahoo: YahooStandin) -> None:
    """yfinance itself would wait 30 s for each of these."""
    yahoo.misbehave("", delay=2, times=-1)
    source = make_source(timeout_seconds=0.2)

    before = datetime.now(UTC)
    result = source.fetch(["AAPL"], OPEN)

    assert [failure.reason for failure in result.failures] == ["timeout"]
    assert datetime.now(UTC) - before < timedelta(seconds=2)  # one answer's delay


def test_the_cookie_survives_a_restart_in_a_given_cache(make_source: Make, yahoo: YahooStandin, tmp_path: Path) -> None:
    first = make_source(cache_directory=tmp_path / "cache")
    first.fetch(["AAPL"], OPEN)
    first.close()
    yahoo.reset()

    assert len(make_source(cache_directory=tmp_path / "cache").fetch(["AAPL"], OPEN).quotes) == 1
    assert [request["host"] for request in yahoo.requests()] == ["query1.finance.yahoo.com"] * 2  # crumb, quotes


def test_a_cache_that_cannot_be_written_is_a_mistake_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError, match="caches cannot be kept there"):
        YahooSource(cache_directory=tmp_path / "file")


def test_yfinance_is_imported_by_the_first_yahoo_source_alone() -> None:
    program = """
import sys
import producer_service.sources.yahoo, producer_service.sources.replay, producer_service.sources.synthetic
sys.exit(any(name in sys.modules for name in ("yfinance", "pandas", "curl_cffi")))
"""
    subprocess.run([sys.executable, "-c", program], check=True)
