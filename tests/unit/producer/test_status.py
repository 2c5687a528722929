"""/status: what it shows of groups, outbox and symbols."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from producer_service.deduplication import SymbolHistory
from producer_service.sources import Failure, FetchResult
from producer_service.status import MAX_LISTED, STALEST, stalest
from tests.fakes.producer_bench import Bench, FakeSource, calendar, group
from tests.support.quotes import OPEN, make_quote


def test_the_page_shows_the_state_of_each_group(tmp_path: Path) -> None:
    hour = timedelta(hours=1)
    day = calendar("DAY", (OPEN - 8 * hour, OPEN - hour), (OPEN + 16 * hour, OPEN + 23 * hour))
    source = FakeSource(
        FetchResult(quotes=(make_quote(second=-5),), missing=("MSFT",), complete_to=OPEN),
        FetchResult(
            failures=(Failure("rate_limited", "HTTP 429", ("BTC-USD",)),), paused_until=OPEN + timedelta(minutes=5)
        ),
    )
    groups = group("us", calendar="DAY"), group("coins", ("BTC-USD",), interval_seconds=2.5)
    with closing(Bench(source, tmp_path, *groups, calendars={"DAY": day})) as bench:
        for poller in bench.pollers:
            poller.poll()
        bench.now = OPEN + timedelta(seconds=3)
        page = json.loads(bench.status.page())
    us, coins = page["groups"]
    assert {key: us[key] for key in ("name", "symbols", "interval_seconds", "calendar", "calendars", "source")} == {
        "name": "us",
        "symbols": 2,
        "interval_seconds": 10,
        "calendar": "DAY",
        "calendars": ["DAY"],
        "source": "yahoo",
    }
    assert (us["open"], us["due"], us["opens"]) == (False, False, "2026-11-24T06:30:00.000Z")
    assert us["closes"] == "2026-11-24T13:30:00.000Z"
    assert us["polled_at"] == us["complete_to"] == "2026-11-23T14:30:00.000Z"
    assert (us["last_poll"]["accepted"], us["last_poll"]["missing"], us["last_failure"]) == (1, 1, None)
    assert (coins["open"], coins["due"], coins["opens"], coins["closes"]) == (True, True, None, None)
    assert coins["last_failure"] == {
        "at": "2026-11-23T14:30:00.000Z",
        "reason": "rate_limited",
        "detail": "HTTP 429",
        "symbols": 1,
    }
    assert page["paused_sources"] == {"yahoo": "2026-11-23T14:35:00.000Z"}
    assert page["missing"] == {"count": 1, "symbols": ["MSFT"]}
    assert page["never_quoted"] == {"count": 2, "symbols": ["BTC-USD", "MSFT"]}
    assert page["stalest"] == [{"symbol": "AAPL", "event_time": "2026-11-23T14:29:55.000Z", "age_seconds": 8}]
    assert page["outbox"]["pending"] == 1
    assert page["build"] == {"wire": "1"}


def test_there_is_a_page_before_the_first_poll(tmp_path: Path) -> None:
    with closing(Bench(FakeSource(), tmp_path)) as bench:
        page = json.loads(bench.status.page())
    [us] = page["groups"]
    assert (us["polled_at"], us["last_poll"], us["last_failure"]) == (None, None, None)
    assert (page["outbox"]["pending"], page["outbox"]["oldest_age_seconds"]) == (0, None)
    assert [lane["in_flight"] for lane in page["lanes"]] == [False, False]
    assert page["paused_sources"] == {}


def test_lists_of_symbols_are_cut_and_their_counts_are_not(tmp_path: Path) -> None:
    symbols = [f"S{number}" for number in range(200)]
    with closing(Bench(FakeSource(FetchResult(missing=tuple(symbols))), tmp_path, group("all", symbols))) as bench:
        bench.poller.poll()
        page = json.loads(bench.status.page())
    assert page["missing"] == {"count": 200, "symbols": sorted(symbols)[:MAX_LISTED]}


def test_the_stalest_symbols_are_those_of_the_oldest_events_that_are_watched() -> None:
    histories = {f"S{number}": SymbolHistory(OPEN + timedelta(seconds=number), 0, ()) for number in range(20)}
    found = stalest([f"S{number}" for number in range(1, 30)], histories, OPEN + timedelta(minutes=1))
    assert [(each["symbol"], each["age_seconds"]) for each in found] == [
        (f"S{number}", 60 - number) for number in range(1, 1 + STALEST)
    ]
