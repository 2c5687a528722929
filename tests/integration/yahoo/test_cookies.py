"""The Yahoo source with the real yfinance: cookies, crumbs, and the file that keeps the cookie."""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from producer_service.sources.yahoo.source import YahooSource
from tests.fakes.yahoo.local_yahoo import QUOTE_PATH, LocalYahoo
from tests.support.yahoo_sources import BATCHES, OPEN, SYMBOLS, MakeSource
from yahoo_requests.crumbs import COOKIE_FILE

CRUMB_PATH = "/v1/test/getcrumb"
UNAUTHORIZED = '{"finance":{"result":null,"error":{"code":"Unauthorized"}}}'


def test_an_expired_crumb_is_renewed_within_the_poll(source: YahooSource, yahoo: LocalYahoo) -> None:
    yahoo.expire_crumbs()

    result = source.fetch(["AAPL"], OPEN)

    assert len(result.quotes) == 1
    assert [request.status for request in yahoo.requests(QUOTE_PATH)] == [401, 200]


def test_a_crumb_that_stays_refused_is_unauthorized(source: YahooSource, yahoo: LocalYahoo) -> None:
    yahoo.add_fault(status=401, body=UNAUTHORIZED, times=-1)

    result = source.fetch(SYMBOLS, OPEN)

    assert {failure.reason for failure in result.failures} == {"unauthorized"}
    requested = [tuple(symbols) for symbols in yahoo.requested_symbols()]
    assert all(requested.count(batch) <= 2 for batch in BATCHES)  # once more after the one renewal
    assert len(yahoo.requests(CRUMB_PATH)) == 1


def test_a_crumb_that_expires_during_many_batches_is_renewed_once(source: YahooSource, yahoo: LocalYahoo) -> None:
    yahoo.expire_crumbs()

    result = source.fetch(SYMBOLS, OPEN)

    assert tuple(quote.symbol for quote in result.quotes) == SYMBOLS
    assert len(yahoo.requests(CRUMB_PATH)) == 1


def test_a_stored_cookie_that_yahoo_refuses_is_replaced(
    make_source: MakeSource, yahoo: LocalYahoo, tmp_path: Path
) -> None:
    """yfinance alone would load the cookie again after each refusal, until it expires after a year."""
    first = make_source(cache_directory=tmp_path)
    first.fetch(["AAPL"], OPEN)
    first.close()
    refused = yahoo.requests(QUOTE_PATH)[0].cookie
    yahoo.reset()
    yahoo.add_fault("getcrumb", status=401, body=UNAUTHORIZED)

    result = make_source(cache_directory=tmp_path).fetch(["AAPL"], OPEN)

    assert [quote.symbol for quote in result.quotes] == ["AAPL"]
    assert yahoo.requests(QUOTE_PATH)[-1].cookie != refused


def test_a_blocked_cookie_host_leaves_the_consent_pages(make_source: MakeSource, yahoo: LocalYahoo) -> None:
    yahoo.add_fault("^fc.yahoo.com", drop=True, times=-1)

    assert len(make_source().fetch(["AAPL"], OPEN).quotes) == 1
    assert yahoo.requests("/copyConsent")


def test_blocked_consent_pages_leave_the_cookie_host(source: YahooSource, yahoo: LocalYahoo) -> None:
    yahoo.expire_crumbs()
    yahoo.add_fault("^guce.yahoo.com", drop=True, times=-1)

    assert len(source.fetch(["AAPL"], OPEN).quotes) == 1


def test_the_cookie_survives_a_restart_in_a_cache_directory(
    make_source: MakeSource, yahoo: LocalYahoo, tmp_path: Path
) -> None:
    first = make_source(cache_directory=tmp_path / "cache")
    first.fetch(["AAPL"], OPEN)
    first.close()
    yahoo.reset()

    assert len(make_source(cache_directory=tmp_path / "cache").fetch(["AAPL"], OPEN).quotes) == 1
    assert [request.host for request in yahoo.requests()] == ["query1.finance.yahoo.com"] * 2  # crumb and quotes


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
    make_source: MakeSource, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """yfinance alone would fail on it in every poll."""
    first = make_source(cache_directory=tmp_path)
    first.fetch(["AAPL"], OPEN)
    first.close()
    damage(tmp_path / COOKIE_FILE)

    second = make_source(cache_directory=tmp_path)

    with capture_logs() as logs:
        assert len(second.fetch(SYMBOLS, OPEN).quotes) == len(SYMBOLS)
    assert [entry["event"] for entry in logs] == ["yahoo_cookies_set_aside"]
    assert (tmp_path / f"{COOKIE_FILE}.unreadable").exists()
    assert (tmp_path / COOKIE_FILE).exists()


def test_a_crumb_is_renewed_despite_a_corrupt_cookie_file(
    make_source: MakeSource, yahoo: LocalYahoo, tmp_path: Path
) -> None:
    source = make_source(cache_directory=tmp_path)
    source.fetch(["AAPL"], OPEN)
    (tmp_path / COOKIE_FILE).write_bytes(b"not a database" * 1000)
    yahoo.expire_crumbs()

    assert len(source.fetch(["AAPL"], OPEN).quotes) == 1
    assert (tmp_path / f"{COOKIE_FILE}.unreadable").exists()


def test_a_cookie_file_that_cannot_be_moved_is_a_failure_and_not_an_exception(
    make_source: MakeSource, tmp_path: Path
) -> None:
    (tmp_path / COOKIE_FILE).write_bytes(b"not a database" * 1000)
    (tmp_path / f"{COOKIE_FILE}.unreadable" / "in the way").mkdir(parents=True)

    result = make_source(cache_directory=tmp_path).fetch(["AAPL"], OPEN)

    assert [failure.reason for failure in result.failures] == ["malformed"]


def _store_cookie(file: Path, cookie: bytes) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE _cookieschema SET cookie_bytes = ?", (cookie,))
