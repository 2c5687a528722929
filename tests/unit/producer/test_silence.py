"""Why a group has no new prices: each reason in words, and no reason while prices come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from producer_service.market_hours import Calendar
from producer_service.silence import FIRST_POLL, GAP, MAX_NAMED
from producer_service.sources import Failure, FetchResult, Rejected
from tests.fakes.producer_bench import RECORDED, Bench, FakeSource, calendar, group
from tests.support.quotes import OPEN, make_quote
from watchlist.groups import WatchGroup
from yahoo_requests.errors import FailureReason

MINUTE = timedelta(minutes=1)
ANSWERED = FetchResult(quotes=(make_quote(),), complete_to=OPEN)


@contextmanager
def bench(
    source: FakeSource, path: Path, *groups: WatchGroup, calendars: dict[str, Calendar] | None = None
) -> Iterator[Bench]:
    with closing(Bench(source, path, *(groups or [group(symbols=("AAPL",))]), calendars=calendars)) as made:
        yield made


def said(bench: Bench) -> list[tuple[str, str]]:
    """The reasons and their texts, at /status."""
    [page] = json.loads(bench.status.page())["groups"]
    return [(each["reason"], each["text"]) for each in page["silences"]]


def polled(path: Path, *results: FetchResult, symbols: tuple[str, ...] = ("AAPL",)) -> list[tuple[str, str]]:
    """What is said after some polls."""
    with bench(FakeSource(*results), path, group(symbols=symbols)) as made:
        for _ in results:
            made.poller.poll()
        return said(made)


def failed(reason: FailureReason, detail: str, **fields: object) -> FetchResult:
    return FetchResult(failures=(Failure(reason, detail, ("AAPL",)),), **fields)  # type: ignore[arg-type]


def test_nothing_is_said_while_prices_come(tmp_path: Path) -> None:
    assert polled(tmp_path, ANSWERED) == []


def test_a_first_poll_that_takes_long(tmp_path: Path) -> None:
    with bench(FakeSource(), tmp_path) as made:
        assert said(made) == []
        made.now += FIRST_POLL
        assert said(made) == [("first_poll", "yahoo has not answered the first poll yet")]


def test_a_closed_exchange_with_its_next_open(tmp_path: Path) -> None:
    day = calendar("DAY", (OPEN - 120 * MINUTE, OPEN), (OPEN + 1440 * MINUTE, OPEN + 1500 * MINUTE))
    with bench(
        FakeSource(ANSWERED), tmp_path, group(symbols=("AAPL",), calendar="DAY"), calendars={"DAY": day}
    ) as made:
        made.poller.poll()
        assert said(made) == [("closed", "DAY is closed; opens Tue 2026-11-24 14:30 UTC (Tue 14:30 UTC)")]
        made.now -= MINUTE
        assert said(made) == []


def test_requests_that_fail(tmp_path: Path) -> None:
    refused = polled(tmp_path, failed("rate_limited", "HTTP 429", paused_until=OPEN + MINUTE))
    assert refused == [
        ("refused", "yahoo refuses requests (rate_limited: HTTP 429); it is asked again at 14:31:00 UTC")
    ]
    cut = polled(tmp_path, failed("connection", "no route to host"))
    text = "yahoo cannot be reached (connection: no route to host); it is asked again with the next poll"
    assert cut == [("unreachable", text)]
    [(reason, text)] = polled(tmp_path, failed("server_error", "HTTP 500"))
    assert (reason, text.partition(" (")[0]) == ("unreachable", "yahoo answers with errors")
    [(_, text)] = polled(tmp_path, failed("timeout", "10 s", quotes=(make_quote(),)))
    assert text.startswith("yahoo, for a part of the symbols, cannot be reached (timeout: 10 s)")


def test_a_failure_is_no_longer_named_once_a_poll_is_complete(tmp_path: Path) -> None:
    assert polled(tmp_path, failed("connection", "no route to host"), ANSWERED) == []


def test_symbols_without_a_price(tmp_path: Path) -> None:
    unknown = FetchResult(quotes=(make_quote(),), missing=("APPL", "FOO"), complete_to=OPEN)
    assert polled(tmp_path, unknown, symbols=("AAPL", "APPL", "FOO")) == [
        ("unknown", "yahoo has no price of APPL, FOO: check how they are written")
    ]
    gone = FetchResult(missing=("AAPL",), complete_to=OPEN)
    assert polled(tmp_path, ANSWERED, gone) == [("missing", "yahoo has no price of AAPL now")]
    inactive = FetchResult(inactive=("AAPL",), complete_to=OPEN)
    [(reason, text)] = polled(tmp_path, inactive)
    assert (reason, text.partition(",")[0]) == ("inactive", "yahoo had no price of AAPL for days")


def test_prices_that_no_quote_can_hold(tmp_path: Path) -> None:
    future = FetchResult(rejected=(Rejected("AAPL", "event_time is in the future"),), complete_to=OPEN)
    [(reason, text)] = polled(tmp_path, future)
    assert (reason, text.partition(";")[0]) == ("rejected", "yahoo delivers prices that no quote can hold")


def test_a_long_list_of_symbols_is_cut(tmp_path: Path) -> None:
    symbols = tuple(f"S{number:02}" for number in range(MAX_NAMED + 7))
    [(_, text)] = polled(tmp_path, FetchResult(missing=symbols, complete_to=OPEN), symbols=symbols)
    assert "S09 and 7 more:" in text


def test_an_open_market_with_nothing_new(tmp_path: Path) -> None:
    day = calendar("DAY", (OPEN - 120 * MINUTE, OPEN + 120 * MINUTE))
    source = FakeSource(ANSWERED, ANSWERED, ANSWERED)
    with bench(source, tmp_path, group(symbols=("AAPL",), calendar="DAY"), calendars={"DAY": day}) as made:
        made.poller.poll()
        made.poller.poll()
        assert said(made) == []
        made.now += GAP + MINUTE
        assert said(made) == [("unchanged", "yahoo answers, but with nothing new")]


def test_a_recording_with_a_gap_and_its_end(tmp_path: Path) -> None:
    source = FakeSource(
        ANSWERED,
        FetchResult(complete_to=OPEN + GAP),
        FetchResult(complete_to=OPEN + 60 * MINUTE),
        FetchResult(complete_to=OPEN + 60 * MINUTE, ended=True),
        traits=RECORDED,
    )
    with bench(source, tmp_path, group(symbols=("AAPL",), source="replay")) as made:
        made.poller.poll()
        made.poller.poll()
        assert said(made) == []
        made.poller.poll()
        assert said(made) == [("gap", "the recording has no prices for a while after Mon 2026-11-23 14:30 UTC")]
        made.poller.poll()
        assert said(made) == [("ended", "replay has ended: it has no more prices")]
