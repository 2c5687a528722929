"""The real yfinance against a stand-in of Yahoo, reached by environment variables alone."""

from __future__ import annotations

import pickle
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from producer_service.errors import ConfigurationError
from producer_service.sources import FetchResult
from producer_service.sources.token_bucket import TokenBucket
from producer_service.sources.yahoo.client import COOKIE_FILE
from producer_service.sources.yahoo.errors import SourceError
from producer_service.sources.yahoo.request_limiter import RequestLimiter
from producer_service.sources.yahoo.session import open_session
from producer_service.sources.yahoo.source import MAX_BATCH, MAX_IN_FLIGHT, MAX_STALENESS, YahooSource
from tests.integration.yahoo_standin import YahooStandin

OPEN = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)  # a Monday, half an hour into New York's session
TOO_MANY = tuple(f"S{number}" for number in range(2 * MAX_BATCH + 20))
BATCHES = tuple(TOO_MANY[first : first + MAX_BATCH] for first in range(0, len(TOO_MANY), MAX_BATCH))

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
    assert sorted(map(len, yahoo.asked_symbols())) == [1, MAX_BATCH]


def test_one_request_a_poll_once_the_crumb_is_there(source: YahooSource, yahoo: YahooStandin) -> None:
    for _ in range(3):
        source.fetch(["AAPL"], OPEN)

    assert [request["path"] for request in yahoo.requests()] == ["/v7/finance/quote"] * 3
    assert len({request["conn"] for request in yahoo.requests()}) == 1


def test_connections_are_kept_from_poll_to_poll(make_source: Make, yahoo: YahooStandin) -> None:
    source = make_source(requests_burst=100)
    for _ in range(10):
        source.fetch(TOO_MANY, OPEN)

    assert len(yahoo.requests()) == 32  # cookie and crumb
    assert len({request["conn"] for request in yahoo.requests()}) <= MAX_IN_FLIGHT


def test_requests_keep_to_their_rate_those_for_a_cookie_too(make_source: Make, yahoo: YahooStandin) -> None:
    source = make_source(requests_per_second=20, requests_burst=1)

    assert len(source.fetch(TOO_MANY, OPEN).quotes) == len(TOO_MANY)

    seen = [request["t"] for request in yahoo.requests()]
    assert len(seen) == 5  # cookie, crumb, three batches
    assert seen[-1] - seen[0] > 0.19  # four twentieths, less what the last may be quicker on its way


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
    asked = [tuple(symbols) for symbols in yahoo.asked_symbols()]
    assert all(asked.count(batch) <= 2 for batch in BATCHES)  # and once more after the one renewal
    assert len(yahoo.requests("/v1/test/getcrumb")) == 1


def test_a_crumb_that_expires_under_many_batches_is_renewed_once(source: YahooSource, yahoo: YahooStandin) -> None:
    yahoo.forget_crumbs()

    result = source.fetch(TOO_MANY, OPEN)

    assert tuple(quote.symbol for quote in result.quotes) == TOO_MANY
    assert len(yahoo.requests("/v1/test/getcrumb")) == 1


def test_a_stored_cookie_that_yahoo_refuses_is_replaced(make_source: Make, yahoo: YahooStandin, tmp_path: Path) -> None:
    """yfinance alone would load it again after each refusal, until it expires: in a year."""
    first = make_source(cache_directory=tmp_path)
    first.fetch(["AAPL"], OPEN)
    first.close()
    refused = yahoo.requests("/v7/")[0]["cookie"]
    yahoo.reset()
    yahoo.misbehave("getcrumb", status=401, body='{"finance":{"result":null,"error":{"code":"Unauthorized"}}}')

    result = make_source(cache_directory=tmp_path).fetch(["AAPL"], OPEN)

    assert [quote.symbol for quote in result.quotes] == ["AAPL"]
    assert yahoo.requests("/v7/")[-1]["cookie"] != refused


def test_too_many_requests_ends_the_poll(source: YahooSource, yahoo: YahooStandin) -> None:
    yahoo.misbehave(status=429, body="Too Many Requests\r\n", times=-1)

    result = source.fetch(TOO_MANY, OPEN)

    assert [failure.reason for failure in result.failures] == ["rate_limited"] * 3
    assert [symbol for failure in result.failures for symbol in failure.symbols] == list(TOO_MANY)
    assert not result.quotes
    assert not result.missing
    assert result.complete_to is None
    assert result.paused_until is not None
    assert len(yahoo.requests()) <= 3  # those in flight; no other, not even for a crumb


def test_after_too_many_requests_none_is_sent_before_the_pause_is_over(
    source: YahooSource, yahoo: YahooStandin
) -> None:
    yahoo.misbehave(status=429, body="Too Many Requests\r\n")
    paused_until = source.fetch(["AAPL"], OPEN).paused_until
    yahoo.reset()
    assert paused_until is not None

    assert source.fetch(["AAPL"], paused_until - timedelta(seconds=1)).paused_until == paused_until
    assert yahoo.requests() == []

    yahoo.set_clock(paused_until.timestamp())
    assert len(source.fetch(["AAPL"], paused_until).quotes) == 1
    assert [request["path"] for request in yahoo.requests()] == ["/v7/finance/quote"]


def test_too_many_requests_for_a_crumb_are_too_many_requests(make_source: Make, yahoo: YahooStandin) -> None:
    """yfinance then asks for quotes without a crumb, and brings the 401 of that."""
    yahoo.misbehave("getcrumb", status=429, body="Too Many Requests\r\n", times=-1)
    source = make_source()

    result = source.fetch(TOO_MANY, OPEN)

    assert [failure.reason for failure in result.failures] == ["rate_limited"] * 3
    assert [request["path"] for request in yahoo.requests()] == ["/", "/v1/test/getcrumb"]

    yahoo.reset()
    assert result.paused_until is not None
    assert len(source.fetch(TOO_MANY, result.paused_until).quotes) == len(TOO_MANY)


def test_a_server_that_has_no_crumb_has_an_error(make_source: Make, yahoo: YahooStandin) -> None:
    """yfinance would take the page for the crumb."""
    yahoo.misbehave("getcrumb", status=502, body="Bad Gateway")

    result = make_source().fetch(["AAPL"], OPEN)

    assert [failure.reason for failure in result.failures] == ["server_error"]
    assert yahoo.requests("/v7/") == []


def test_a_blocked_host_of_cookies_leaves_another_way_to_them(make_source: Make, yahoo: YahooStandin) -> None:
    yahoo.misbehave("^fc.yahoo.com", drop=True, times=-1)

    assert len(make_source().fetch(["AAPL"], OPEN).quotes) == 1


def test_a_way_to_a_crumb_that_is_blocked_is_not_tried_for_ever(source: YahooSource, yahoo: YahooStandin) -> None:
    yahoo.forget_crumbs()
    yahoo.misbehave("^guce.yahoo.com", drop=True, times=-1)

    assert [failure.reason for failure in source.fetch(["AAPL"], OPEN).failures] == ["connection"]
    assert len(source.fetch(["AAPL"], OPEN).quotes) == 1


@pytest.mark.parametrize(
    ("reason", "rule"),
    [
        ("server_error", {"status": 500, "body": "oops"}),
        ("server_error", {"status": 503, "body": "<html>unavailable</html>", "type": "text/html"}),
        ("malformed", {"status": 200, "body": "<!DOCTYPE html><html>consent</html>", "type": "text/html"}),
        ("malformed", {"status": 200, "body": '{"quoteResponse":{"result":[{"symbol":"AAPL","regularMar'}),
        ("malformed", {"status": 404, "body": '{"finance":{"result":null}}'}),
        ("malformed", {"status": 422, "body": '{"finance":{"result":null}}'}),
        ("rate_limited", {"status": 999, "body": "Unable to process request at this time"}),
        ("unauthorized", {"status": 403, "body": "Forbidden"}),
        ("connection", {"drop": True}),
    ],
    ids=["500", "503", "html", "truncated", "404", "422", "999", "403", "dropped"],
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
    assert len(yahoo.requests()) == (2 if "drop" in rule else 1)  # curl itself tries anew where a kept connection ended

    yahoo.reset()
    assert len(source.fetch(["AAPL", "MSFT"], result.paused_until or OPEN).quotes) == 2
    assert [request["path"] for request in yahoo.requests()] == ["/v7/finance/quote"]  # the crumb was kept


def test_a_refused_connection_is_a_value(
    make_source: Make, yahoo: YahooStandin, monkeypatch: pytest.MonkeyPatch
) -> None:
    del yahoo
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.setenv("https_proxy", proxy)

        assert [failure.reason for failure in make_source().fetch(["AAPL"], OPEN).failures] == ["connection"]


def test_an_answer_that_ends_early_is_malformed() -> None:
    """The stand-in cannot: a body of fewer bytes than its header said."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")

        thread = threading.Thread(target=serve)
        thread.start()
        limiter = RequestLimiter(TokenBucket(1, 1), 5)
        limiter.start_poll(5)
        with open_session(limiter) as session, pytest.raises(SourceError) as caught:
            session.get(f"http://127.0.0.1:{server.getsockname()[1]}/", proxies={})
        thread.join()

    assert caught.value.reason == "malformed"


def test_a_failed_batch_leaves_the_others_their_quotes(source: YahooSource, yahoo: YahooStandin) -> None:
    yahoo.misbehave(status=500)

    result = source.fetch(TOO_MANY, OPEN)

    assert len(result.failures) == 1
    failed = result.failures[0].symbols
    assert failed in BATCHES
    assert [quote.symbol for quote in result.quotes] == [symbol for symbol in TOO_MANY if symbol not in failed]
    assert result.complete_to is None


def test_a_slow_answer_is_a_timeout(make_source: Make, yahoo: YahooStandin) -> None:
    source = make_source(timeout_seconds=0.3)
    source.fetch(["AAPL"], OPEN)
    yahoo.misbehave(delay=0.6, times=1)

    assert [failure.reason for failure in source.fetch(["AAPL"], OPEN).failures] == ["timeout"]
    assert source.fetch(["AAPL"], OPEN).failures == ()
    _let_answer(yahoo, 5)


def test_the_way_to_a_crumb_is_bounded_too(make_source: Make, yahoo: YahooStandin) -> None:
    """yfinance itself would wait 30 s for each of these."""
    yahoo.misbehave("", delay=1.5, times=-1)
    source = make_source(timeout_seconds=0.2)

    before = datetime.now(UTC)
    result = source.fetch(["AAPL"], OPEN)

    assert [failure.reason for failure in result.failures] == ["timeout"]
    assert datetime.now(UTC) - before < timedelta(seconds=1.5)  # one answer's delay
    _let_answer(yahoo, 2)


def test_the_cookie_survives_a_restart_in_a_given_cache(make_source: Make, yahoo: YahooStandin, tmp_path: Path) -> None:
    first = make_source(cache_directory=tmp_path / "cache")
    first.fetch(["AAPL"], OPEN)
    first.close()
    yahoo.reset()

    assert len(make_source(cache_directory=tmp_path / "cache").fetch(["AAPL"], OPEN).quotes) == 1
    assert [request["host"] for request in yahoo.requests()] == ["query1.finance.yahoo.com"] * 2  # crumb, quotes


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b"not a database" * 1000),
        lambda file: file.write_bytes(file.read_bytes()[:4096] + b"\xff" * 4096),
        lambda file: _store_cookie(file, b"not a pickle"),
        lambda file: _store_cookie(file, pickle.dumps({"curlCffi": {}})),
    ],
    ids=["rubbish", "half rubbish", "unreadable cookie", "foreign cookie"],
)
def test_a_corrupt_cookie_file_is_moved_aside(
    make_source: Make, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """yfinance would fail every poll for ever."""
    first = make_source(cache_directory=tmp_path)
    first.fetch(["AAPL"], OPEN)
    first.close()
    damage(tmp_path / COOKIE_FILE)

    second = make_source(cache_directory=tmp_path)

    with capture_logs() as logs:
        assert len(second.fetch(TOO_MANY, OPEN).quotes) == len(TOO_MANY)
    assert [entry["event"] for entry in logs] == ["yahoo_cookies_set_aside"]
    assert (tmp_path / f"{COOKIE_FILE}.unreadable").exists()
    assert (tmp_path / COOKIE_FILE).exists()


def test_a_corrupt_cookie_file_does_not_keep_a_crumb_from_being_renewed(
    make_source: Make, yahoo: YahooStandin, tmp_path: Path
) -> None:
    source = make_source(cache_directory=tmp_path)
    source.fetch(["AAPL"], OPEN)
    (tmp_path / COOKIE_FILE).write_bytes(b"not a database" * 1000)
    yahoo.forget_crumbs()

    assert len(source.fetch(["AAPL"], OPEN).quotes) == 1
    assert (tmp_path / f"{COOKIE_FILE}.unreadable").exists()


def test_a_cookie_file_that_cannot_be_moved_is_a_failure_and_no_exception(make_source: Make, tmp_path: Path) -> None:
    (tmp_path / COOKIE_FILE).write_bytes(b"not a database" * 1000)
    (tmp_path / f"{COOKIE_FILE}.unreadable" / "in the way").mkdir(parents=True)

    result = make_source(cache_directory=tmp_path).fetch(["AAPL"], OPEN)

    assert [failure.reason for failure in result.failures] == ["malformed"]


def _store_cookie(file: Path, cookie: bytes) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE _cookieschema SET cookie_bytes = ?", (cookie,))


def test_extended_hours_bring_the_price_before_the_opening(make_source: Make, yahoo: YahooStandin) -> None:
    body = (
        '{"quoteResponse":{"result":[{"symbol":"AAPL","marketState":"PRE","regularMarketPrice":160.07,'
        '"regularMarketTime":1795440000,"preMarketPrice":155.82,"preMarketTime":1795445000}]}}'
    )
    source = make_source(extended_hours=True)
    source.fetch(["AAPL"], OPEN)
    yahoo.reset()
    yahoo.misbehave(status=200, body=body)

    (quote,) = source.fetch(["AAPL"], OPEN).quotes

    assert (quote.price, quote.market_state) == (Decimal("155.82"), "PRE")
    assert "preMarketPrice" in yahoo.requests("/v7/")[0]["query"]


def test_closing_ends_a_fetch_that_waits_for_yahoo(source: YahooSource, yahoo: YahooStandin) -> None:
    yahoo.misbehave(delay=1.5, times=-1)
    results: list[FetchResult] = []
    fetching = threading.Thread(target=lambda: results.append(source.fetch(TOO_MANY, OPEN)))
    before = time.monotonic()
    fetching.start()
    time.sleep(0.2)  # the requests are on their way; were they not, the fetch would end as soon

    source.close()
    fetching.join()

    assert time.monotonic() - before < 1
    assert {failure.reason for failure in results[0].failures} == {"stopped"}
    _let_answer(yahoo, len(BATCHES))


def _let_answer(yahoo: YahooStandin, requests: int) -> None:
    """Wait until the stand-in has answered so many, which it then logs: or it would in the midst of another test."""
    deadline = time.monotonic() + 10
    while len(yahoo.requests()) < requests:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_cache_that_cannot_be_written_is_a_mistake_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError, match="yfinance cannot keep its caches there"):
        YahooSource(cache_directory=tmp_path / "file")


def test_yfinance_is_imported_by_the_first_yahoo_source_alone() -> None:
    program = """
import sys
import producer_service.sources.yahoo.source, producer_service.sources.replay.source, producer_service.sources.synthetic
sys.exit(any(name in sys.modules for name in ("yfinance", "pandas", "curl_cffi")))
"""
    subprocess.run([sys.executable, "-c", program], check=True)
