"""The Yahoo source with the real yfinance while the pages of cookies and crumbs are broken in any way."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from producer_service.sources.yahoo.source import YahooSource
from tests.fakes.yahoo.local_yahoo import QUOTE_PATH, LocalYahoo
from tests.support.yahoo_sources import OPEN, SYMBOLS, MakeSource, skip

COOKIE = "fc.yahoo.com/"
CRUMB = "query1.finance.yahoo.com/v1/test/getcrumb"
OTHER_CRUMB = "query2.finance.yahoo.com/v1/test/getcrumb"
QUOTES = f"query1.finance.yahoo.com{QUOTE_PATH}"
HOME = "finance.yahoo.com/"
CONSENT = "guce.yahoo.com/consent"
FORM = "consent.yahoo.com/v2/collectConsent"
COPY = "guce.yahoo.com/copyConsent"

BASIC = [COOKIE, CRUMB]
CSRF = [CONSENT, FORM, FORM, COPY, HOME, COPY, HOME, OTHER_CRUMB]
"""The form is requested and submitted. That and the last page lead on to the next pages."""

PAGE = {"body": "<!DOCTYPE html><html><body>Oops</body></html>", "content_type": "text/html"}
ERROR = '{"finance":{"result":null,"error":{"code":"Unauthorized","description":"Invalid Cookie"}}}'
NEW_COOKIE = "A3=d=of-the-test&S=y; Expires=Wed, 01 Jan 2098 00:00:00 GMT; Domain=.yahoo.com; Path=/; Secure"

BROKEN: dict[str, dict[str, Any]] = {
    "400": {"status": 400, "body": "Bad Request"},
    "401": {"status": 401, "body": ERROR},
    "403": {"status": 403, "body": "Forbidden"},
    "404": {"status": 404, "body": "Not Found"},
    "500": {"status": 500, "body": ""},
    "502 page": {"status": 502, **PAGE},
    "503": {"status": 503, "body": "busy"},
    "204": {"status": 204},
    "empty": {"status": 200},
    "blanks": {"status": 200, "body": " \r\n\t"},
    "page": {"status": 200, **PAGE},
    "page of one word": {"status": 200, "body": "<html></html>"},
    "error as JSON": {"status": 200, "body": ERROR},
    "null as JSON": {"status": 200, "body": '{"crumb":null}'},
    "a sentence": {"status": 200, "body": "Service is unavailable"},
    "too long": {"status": 200, "body": "x" * 5_000},
    "not text": {"status": 200, "body": "\x00\x01\x02"},
    "dropped": {"drop": True},
    "redirect to consent": {"status": 302, "headers": {"location": "https://guce.yahoo.com/nothing-here"}},
    "redirect to itself": {"status": 302, "headers": {"location": "https://query1.finance.yahoo.com/v1/test/getcrumb"}},
}


def requested(yahoo: LocalYahoo) -> list[str]:
    return [request.host + request.path for request in yahoo.requests()]


def assert_works(source: YahooSource, yahoo: LocalYahoo, most: int) -> None:
    """Yahoo is well again, and the next poll has quotes after at most some requests."""
    yahoo.reset()
    skip(source, 7_200)
    assert [quote.symbol for quote in source.fetch(["AAPL"], OPEN + timedelta(hours=2)).quotes] == ["AAPL"]
    assert len(yahoo.requests()) <= most


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
def test_a_broken_crumb_page_leaves_the_other_way(
    make_source: MakeSource, yahoo: LocalYahoo, fault: dict[str, Any]
) -> None:
    yahoo.add_fault("^query1.*getcrumb", **fault, times=-1)
    source = make_source()

    result = source.fetch(SYMBOLS, OPEN)

    assert [quote.symbol for quote in result.quotes] == list(SYMBOLS)
    assert result.complete_to is not None
    assert requested(yahoo) == [*BASIC, *CSRF, *[QUOTES] * 3]
    assert_works(source, yahoo, most=1)


@pytest.mark.parametrize(
    "fault",
    [fault for name, fault in BROKEN.items() if not name.startswith("redirect")],
    ids=[name for name in BROKEN if not name.startswith("redirect")],
)
def test_a_cookie_page_without_a_cookie_leaves_the_other_way(
    make_source: MakeSource, yahoo: LocalYahoo, fault: dict[str, Any]
) -> None:
    yahoo.add_fault("^fc.yahoo.com", **fault, times=-1)
    source = make_source()

    result = source.fetch(SYMBOLS, OPEN)

    assert [quote.symbol for quote in result.quotes] == list(SYMBOLS)
    assert requested(yahoo) == [COOKIE, *CSRF, *[QUOTES] * 3]
    assert_works(source, yahoo, most=1)


@pytest.mark.parametrize("connect", ["refuse", "garble"])
def test_a_host_that_cannot_be_reached_leaves_the_other_way(
    make_source: MakeSource, yahoo: LocalYahoo, connect: str
) -> None:
    yahoo.add_fault("^fc.yahoo.com", connect=connect, times=-1)
    source = make_source()

    assert [quote.symbol for quote in source.fetch(["AAPL"], OPEN).quotes] == ["AAPL"]
    assert requested(yahoo) == [*CSRF, QUOTES]
    assert_works(source, yahoo, most=1)


@pytest.mark.parametrize("connect", ["refuse", "garble"])
def test_hosts_that_cannot_all_be_reached_are_a_failure_until_they_can(
    make_source: MakeSource, yahoo: LocalYahoo, connect: str
) -> None:
    yahoo.add_fault("", connect=connect, times=-1)
    source = make_source()

    assert {failure.reason for failure in source.fetch(SYMBOLS, OPEN).failures} == {"connection"}
    assert requested(yahoo) == []
    assert_works(source, yahoo, most=len(CSRF) + 1)


@pytest.mark.parametrize(("path", "asked"), [("^fc.yahoo.com", [COOKIE]), ("^query1.*getcrumb", BASIC)])
def test_a_slow_page_leaves_the_other_way(
    make_source: MakeSource, yahoo: LocalYahoo, path: str, asked: list[str]
) -> None:
    yahoo.add_fault(path, delay=2, times=-1)
    source = make_source(timeout_seconds=1)

    assert [quote.symbol for quote in source.fetch(["AAPL"], OPEN).quotes] == ["AAPL"]
    assert requested(yahoo) == [*asked, *CSRF, QUOTES]


def test_a_cookie_page_that_redirects_to_the_consent_pages_leaves_the_other_way(
    make_source: MakeSource, yahoo: LocalYahoo
) -> None:
    yahoo.add_fault("^fc.yahoo.com", status=302, headers={"location": "https://guce.yahoo.com/consent"}, times=-1)

    assert [quote.symbol for quote in make_source().fetch(["AAPL"], OPEN).quotes] == ["AAPL"]
    assert requested(yahoo) == [COOKIE, CONSENT, FORM, *CSRF, QUOTES]


def test_a_loop_of_redirects_ends(make_source: MakeSource, yahoo: LocalYahoo) -> None:
    yahoo.add_fault("^fc.yahoo.com", status=302, headers={"location": "https://fc.yahoo.com/"}, times=-1)

    assert [quote.symbol for quote in make_source().fetch(["AAPL"], OPEN).quotes] == ["AAPL"]
    assert requested(yahoo) == [*[COOKIE] * 7, *CSRF, QUOTES]


def test_a_cookie_without_a_crumb_leaves_the_other_way_and_is_not_kept(
    make_source: MakeSource, yahoo: LocalYahoo, tmp_path: Path
) -> None:
    yahoo.add_fault("^fc.yahoo.com", status=404, headers={"set-cookie": NEW_COOKIE}, times=-1)
    yahoo.add_fault("getcrumb", status=401, body=ERROR, times=-1)
    source = make_source(cache_directory=tmp_path)

    assert {failure.reason for failure in source.fetch(SYMBOLS, OPEN).failures} == {"unauthorized"}
    assert requested(yahoo) == [*BASIC, *CSRF]
    source.close()
    yahoo.reset()

    assert make_source(cache_directory=tmp_path).fetch(["AAPL"], OPEN).failures == ()
    assert requested(yahoo) == [*BASIC, QUOTES]
    assert "of-the-test" not in yahoo.requests(QUOTE_PATH)[0].cookie


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
def test_with_both_ways_broken_each_is_tried_once_in_a_poll_however_many_batches_wait(
    make_source: MakeSource, yahoo: LocalYahoo, tmp_path: Path, fault: dict[str, Any]
) -> None:
    yahoo.add_fault("getcrumb", **fault, times=-1)
    source = make_source(cache_directory=tmp_path)

    first = source.fetch(SYMBOLS, OPEN)

    assert len(first.failures) == 3
    assert first.complete_to is None
    assert requested(yahoo) == [*BASIC, *CSRF]

    skip(source, 0 if first.paused_until is None else (first.paused_until - OPEN).total_seconds())
    second = source.fetch(SYMBOLS, first.paused_until or OPEN)
    assert len(second.failures) == 3
    assert requested(yahoo) == [*BASIC, *CSRF, *CSRF, *BASIC]

    assert_works(source, yahoo, most=len(CSRF) + 1)
    source.close()
    assert_works(make_source(cache_directory=tmp_path), yahoo, most=2)  # the cookie on disk is a good one


REFUSALS = {"429": {"status": 429, "body": "Too Many Requests\r\n"}, "999": {"status": 999}}
SAID_IN_A_CRUMB = {"200": {"status": 200, "body": "Too Many Requests"}}
"""yfinance knows this one too."""


@pytest.mark.parametrize(
    ("path", "fault", "asked"),
    [
        *(("^fc.yahoo.com", fault, [COOKIE]) for fault in REFUSALS.values()),
        *(("^query1.*getcrumb", fault, BASIC) for fault in (REFUSALS | SAID_IN_A_CRUMB).values()),
        *(("^guce.*consent", fault, [COOKIE, CONSENT]) for fault in REFUSALS.values()),
        *(("^query2.*getcrumb", fault, [COOKIE, *CSRF]) for fault in (REFUSALS | SAID_IN_A_CRUMB).values()),
    ],
)
def test_after_a_refusal_nothing_more_is_requested(
    make_source: MakeSource, yahoo: LocalYahoo, path: str, fault: dict[str, Any], asked: list[str]
) -> None:
    if CONSENT in asked:
        yahoo.add_fault("^fc.yahoo.com", status=500, times=-1)
    yahoo.add_fault(path, **fault, times=-1)
    source = make_source()

    result = source.fetch(SYMBOLS, OPEN)

    assert {failure.reason for failure in result.failures} == {"rate_limited"}
    assert requested(yahoo) == asked
    assert result.paused_until is not None
    skip(source, 30)
    assert source.fetch(SYMBOLS, OPEN + timedelta(seconds=30)).quotes == ()
    assert requested(yahoo) == asked
    assert_works(source, yahoo, most=len(CSRF) + 1)


@pytest.mark.parametrize("crumb", ["a/b.c", "%2F+&=?#", 'x"y\\z', "ключ", "null", "x" * 64])
def test_a_crumb_of_strange_characters_reaches_yahoo_unchanged(
    make_source: MakeSource, yahoo: LocalYahoo, crumb: str
) -> None:
    yahoo.set_crumb(crumb)

    assert [quote.symbol for quote in make_source().fetch(["AAPL"], OPEN).quotes] == ["AAPL"]
    assert requested(yahoo) == [*BASIC, QUOTES]


def test_a_crumb_with_a_line_end_is_taken_without_it(make_source: MakeSource, yahoo: LocalYahoo) -> None:
    """The crumb that is served is not that of the cookie, so Yahoo refuses it, and the other way succeeds."""
    yahoo.add_fault("^query1.*getcrumb", status=200, body="someCrumb/1\r\n")

    assert [quote.symbol for quote in make_source().fetch(["AAPL"], OPEN).quotes] == ["AAPL"]
    assert requested(yahoo) == [*BASIC, QUOTES, *CSRF, QUOTES]
    assert "crumb=someCrumb%2F1" in yahoo.requests(QUOTE_PATH)[0].query
    assert "%0D" not in yahoo.requests(QUOTE_PATH)[0].query


def test_a_crumb_that_is_refused_at_once_is_replaced_by_that_of_the_other_way(
    make_source: MakeSource, yahoo: LocalYahoo
) -> None:
    yahoo.add_fault(status=401, body=ERROR, times=1)
    source = make_source()

    assert [quote.symbol for quote in source.fetch(["AAPL"], OPEN).quotes] == ["AAPL"]
    assert requested(yahoo) == [*BASIC, QUOTES, *CSRF, QUOTES]
    assert_works(source, yahoo, most=1)


def test_crumbs_that_are_all_refused_are_two_requests_for_quotes_in_a_poll(
    make_source: MakeSource, yahoo: LocalYahoo
) -> None:
    yahoo.add_fault(status=401, body=ERROR, times=-1)
    source = make_source()

    assert [failure.reason for failure in source.fetch(["AAPL"], OPEN).failures] == ["unauthorized"]
    assert requested(yahoo) == [*BASIC, QUOTES, *CSRF, QUOTES]
    assert_works(source, yahoo, most=1)


def test_quotes_that_redirect_to_the_consent_pages_are_requested_again_after_consent(
    make_source: MakeSource, yahoo: LocalYahoo
) -> None:
    yahoo.add_fault(status=307, headers={"location": "https://guce.yahoo.com/consent"}, times=1)

    assert [quote.symbol for quote in make_source().fetch(["AAPL"], OPEN).quotes] == ["AAPL"]
    assert requested(yahoo) == [*BASIC, QUOTES, *CSRF, QUOTES]


def test_a_crumb_that_yahoo_answers_with_pages_is_replaced_after_the_pause(
    source: YahooSource, yahoo: LocalYahoo
) -> None:
    """A page with status 200 does not say that the crumb is wrong. So the crumb is kept until the breaker opens."""
    yahoo.add_fault(status=200, **PAGE, times=-1)
    results = [source.fetch(["AAPL"], OPEN) for _ in range(3)]
    assert [failure.reason for result in results for failure in result.failures] == ["malformed"] * 3
    assert results[-1].paused_until is not None
    assert requested(yahoo) == [QUOTES] * 3

    yahoo.reset()
    skip(source, (results[-1].paused_until - OPEN).total_seconds())
    assert source.fetch(["AAPL"], results[-1].paused_until).failures == ()
    assert requested(yahoo) == [*BASIC, QUOTES]
