"""The Yahoo source with the real yfinance when Yahoo refuses, fails or is slow."""

from __future__ import annotations

import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from producer_service.sources import FetchResult
from producer_service.sources.yahoo.source import YahooSource
from tests.fakes.yahoo.local_yahoo import QUOTE_PATH, LocalYahoo
from tests.support.yahoo_sources import BATCHES, OPEN, SYMBOLS, MakeSource, Uptime, skip
from yahoo_requests.errors import SourceError
from yahoo_requests.request_limiter import RequestLimiter
from yahoo_requests.session import open_session
from yahoo_requests.token_bucket import TokenBucket

RATE_LIMITED: dict[str, Any] = {"status": 429, "body": "Too Many Requests\r\n"}


def test_too_many_requests_end_the_poll(source: YahooSource, yahoo: LocalYahoo) -> None:
    yahoo.add_fault(**RATE_LIMITED, times=-1)

    result = source.fetch(SYMBOLS, OPEN)

    assert [failure.reason for failure in result.failures] == ["rate_limited"] * 3
    assert [symbol for failure in result.failures for symbol in failure.symbols] == list(SYMBOLS)
    assert not result.quotes
    assert not result.missing
    assert result.complete_to is None
    assert result.paused_until is not None
    assert len(yahoo.requests()) <= 3  # those in flight and no other, not even for a crumb


def test_after_too_many_requests_none_is_sent_until_the_end_of_the_pause(
    source: YahooSource, yahoo: LocalYahoo, uptime: Uptime
) -> None:
    yahoo.add_fault(**RATE_LIMITED)
    paused_until = source.fetch(["AAPL"], OPEN).paused_until
    yahoo.reset()
    assert paused_until is not None

    assert source.fetch(["AAPL"], paused_until - timedelta(seconds=1)).paused_until is not None
    assert yahoo.requests() == []

    uptime.skipped = (paused_until - OPEN).total_seconds()

    yahoo.set_clock(paused_until.timestamp())
    assert len(source.fetch(["AAPL"], paused_until).quotes) == 1
    assert [request.path for request in yahoo.requests()] == [QUOTE_PATH]


def test_too_many_requests_for_a_crumb_end_the_poll(make_source: MakeSource, yahoo: LocalYahoo, uptime: Uptime) -> None:
    """yfinance alone would then request quotes without a crumb, and report the 401 that follows."""
    yahoo.add_fault("getcrumb", **RATE_LIMITED, times=-1)
    source = make_source()

    result = source.fetch(SYMBOLS, OPEN)

    assert [failure.reason for failure in result.failures] == ["rate_limited"] * 3
    assert [request.path for request in yahoo.requests()] == ["/", "/v1/test/getcrumb"]

    yahoo.reset()
    assert result.paused_until is not None
    uptime.skipped = (result.paused_until - OPEN).total_seconds()
    assert len(source.fetch(SYMBOLS, result.paused_until).quotes) == len(SYMBOLS)


def test_error_pages_instead_of_crumbs_are_a_server_error(make_source: MakeSource, yahoo: LocalYahoo) -> None:
    """yfinance alone would take the page for the crumb."""
    yahoo.add_fault("getcrumb", status=502, body="Bad Gateway", times=-1)

    result = make_source().fetch(["AAPL"], OPEN)

    assert [failure.reason for failure in result.failures] == ["server_error"]
    assert yahoo.requests(QUOTE_PATH) == []


@pytest.mark.parametrize(
    ("reason", "fault"),
    [
        ("server_error", {"status": 500, "body": "oops"}),
        ("server_error", {"status": 503, "body": "<html>unavailable</html>", "content_type": "text/html"}),
        ("malformed", {"status": 200, "body": "<!DOCTYPE html><html>consent</html>", "content_type": "text/html"}),
        ("malformed", {"status": 200, "body": '{"quoteResponse":{"result":[{"symbol":"AAPL","regularMar'}),
        ("malformed", {"status": 404, "body": '{"finance":{"result":null}}'}),
        ("malformed", {"status": 422, "body": '{"finance":{"result":null}}'}),
        ("rate_limited", {"status": 999, "body": "Unable to process request at this time"}),
        ("unauthorized", {"status": 403, "body": "Forbidden"}),
        ("connection", {"drop": True}),
    ],
    ids=["500", "503", "html", "truncated", "404", "422", "999", "403", "dropped"],
)
def test_a_failure_is_a_value_and_the_next_poll_succeeds(
    source: YahooSource, yahoo: LocalYahoo, uptime: Uptime, reason: str, fault: dict[str, Any]
) -> None:
    yahoo.add_fault(**fault, times=-1)

    result = source.fetch(["AAPL", "MSFT"], OPEN)

    assert [(failure.reason, failure.symbols) for failure in result.failures] == [(reason, ("AAPL", "MSFT"))]
    assert not result.quotes
    assert not result.missing
    assert result.complete_to is None
    assert len(yahoo.requests()) == (2 if "drop" in fault else 1)  # curl repeats a request when a kept connection ends

    yahoo.reset()
    uptime.skipped = 0 if result.paused_until is None else (result.paused_until - OPEN).total_seconds()
    assert len(source.fetch(["AAPL", "MSFT"], result.paused_until or OPEN).quotes) == 2
    assert [request.path for request in yahoo.requests()] == [QUOTE_PATH]  # the crumb was kept


def test_a_refused_connection_is_a_value(
    make_source: MakeSource, yahoo: LocalYahoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    del yahoo
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.setenv("https_proxy", proxy)

        assert [failure.reason for failure in make_source().fetch(["AAPL"], OPEN).failures] == ["connection"]


def test_a_response_that_ends_early_is_malformed() -> None:
    """The body has fewer bytes than its header says, which the local Yahoo cannot do."""
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


def test_a_failed_batch_does_not_affect_the_others(source: YahooSource, yahoo: LocalYahoo) -> None:
    yahoo.add_fault(status=500)

    result = source.fetch(SYMBOLS, OPEN)

    assert len(result.failures) == 1
    failed = result.failures[0].symbols
    assert failed in BATCHES
    assert [quote.symbol for quote in result.quotes] == [symbol for symbol in SYMBOLS if symbol not in failed]
    assert result.complete_to is None


@pytest.mark.timed
def test_a_slow_response_is_a_timeout(make_source: MakeSource, yahoo: LocalYahoo) -> None:
    source = make_source(timeout_seconds=0.3)
    source.fetch(["AAPL"], OPEN)
    yahoo.add_fault(delay=0.6)

    assert [failure.reason for failure in source.fetch(["AAPL"], OPEN).failures] == ["timeout"]
    assert source.fetch(["AAPL"], OPEN).failures == ()


@pytest.mark.timed
def test_the_timeout_applies_to_cookie_and_crumb_too(make_source: MakeSource, yahoo: LocalYahoo) -> None:
    """yfinance alone would wait 30 s for each of them."""
    yahoo.add_fault("", delay=1.5, times=-1)
    source = make_source(timeout_seconds=0.2)

    before = datetime.now(UTC)
    result = source.fetch(["AAPL"], OPEN)

    assert [failure.reason for failure in result.failures] == ["timeout"]
    assert datetime.now(UTC) - before < timedelta(seconds=1.5)  # the delay of a single response


@pytest.mark.timed
def test_closing_ends_a_fetch_that_waits_for_yahoo(source: YahooSource, yahoo: LocalYahoo) -> None:
    yahoo.add_fault(delay=3, times=-1)
    results: list[FetchResult] = []
    fetching = threading.Thread(target=lambda: results.append(source.fetch(SYMBOLS, OPEN)))
    fetching.start()
    while len(yahoo.requests()) < len(BATCHES) and fetching.is_alive():
        time.sleep(0.01)

    closed = time.monotonic()
    source.close()
    fetching.join()

    assert time.monotonic() - closed < 1
    assert {failure.reason for failure in results[0].failures} == {"stopped"}


@pytest.mark.parametrize("body", ['{"quoteResponse":{"result":[],"error":null}}', '{"quoteResponse":{"result":[{}]}}'])
def test_an_empty_list_for_all_symbols_is_a_failure_and_a_dead_symbol_alone_is_not(
    source: YahooSource, yahoo: LocalYahoo, body: str
) -> None:
    assert source.fetch(["ZZZZ"], OPEN).missing == ("ZZZZ",)
    assert source.fetch(["ZZZZ"], OPEN).complete_to is not None
    yahoo.add_fault(status=200, body=body, times=-1)

    for symbols in (["ZZZZ"], ["AAPL"], SYMBOLS):
        result = source.fetch(symbols, OPEN)
        assert {failure.reason for failure in result.failures} == {"malformed"}
        assert result.complete_to is None
        assert result.missing == ()

    yahoo.reset()
    assert result.paused_until is not None  # the third poll in a row that failed
    skip(source, (result.paused_until - OPEN).total_seconds())
    assert len(source.fetch(SYMBOLS, result.paused_until).quotes) == len(SYMBOLS)
