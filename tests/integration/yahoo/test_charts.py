"""The client of charts against the local Yahoo: what it sends, what it makes of failures, and bars to the digit."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from quotes import Action
from tests.fakes.yahoo.local_yahoo import CHART_PATH, ChartRequest, LocalYahoo
from tests.fakes.yahoo.recordings import Minute
from tests.support.waiting import wait_until
from yahoo_requests.chart_body import ChartError
from yahoo_requests.chart_client import ChartClient, chart_limiter
from yahoo_requests.chart_rows import Resolution
from yahoo_requests.charts import ChartBar, ChartWindow, ParsedChart, parse_chart
from yahoo_requests.errors import SourceError
from yahoo_requests.json_values import MalformedResponse
from yahoo_requests.request_limiter import RequestLimiter
from yahoo_requests.token_bucket import TokenBucket

MakeClient = Callable[[RequestLimiter], ChartClient]

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
MIDNIGHT = datetime(2026, 11, 9, 5, tzinfo=UTC)
"""A Monday begins in New York."""
SESSIONS = tuple(
    (MIDNIGHT + number * DAY + timedelta(hours=9.5), MIDNIGHT + number * DAY + timedelta(hours=16))
    for number in range(5)
)
WEEK = ChartWindow(MIDNIGHT, MIDNIGHT + 7 * DAY, SESSIONS)
NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)
SYMBOL = "UGA"
"""It trades so rarely that its generated charts cost little."""


def recording(seed: int = 7) -> list[Minute]:
    """A week of minutes in cents. In one of ten minutes nothing is traded."""
    values = random.Random(seed)
    minutes, cents = [], 17_133
    for start, end in SESSIONS:
        for number in range(int((end - start) / MINUTE)):
            path = [cents, *(cents := max(100, cents + values.randint(-9, 9)) for _ in range(3))]
            if values.random() < 0.9 or number == 389:
                first, high, low, close = (each / 100 for each in (path[0], max(path), min(path), path[-1]))
                time = int((start + number * MINUTE).timestamp())
                minutes.append((time, first, high, low, close, 40 * values.randint(1, 500)))
    return minutes


def bar(members: Sequence[Minute], start: datetime) -> ChartBar:
    """The bar of some minutes."""
    prices = [[Decimal(str(each)) for each in minute[1:5]] for minute in members]
    return ChartBar(
        start,
        prices[0][0],
        max(each[1] for each in prices),
        min(each[2] for each in prices),
        prices[-1][3],
        sum(minute[5] for minute in members),
    )


def bars(minutes: Iterable[Minute], seconds: int) -> list[ChartBar]:
    """The bars of a recording whose sessions begin at half past nine."""
    members: dict[datetime, list[Minute]] = {}
    for minute in minutes:
        open_at = next(start for start, end in reversed(SESSIONS) if start.timestamp() <= minute[0])
        number = (minute[0] - int(open_at.timestamp())) // seconds
        members.setdefault(open_at + timedelta(seconds=number * seconds), []).append(minute)
    return [bar(each, start) for start, each in members.items()]


@pytest.fixture
def make_client(yahoo: LocalYahoo, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeClient]:
    """Makes clients in a process whose environment leads to the local Yahoo."""
    yahoo.set_clock(NOW.timestamp(), 0)
    for name, value in yahoo.environment.items():
        monkeypatch.setenv(name, value)
    made: list[ChartClient] = []

    def make(limiter: RequestLimiter) -> ChartClient:
        made.append(ChartClient(limiter))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: MakeClient) -> ChartClient:
    """A client that may send as fast as it likes."""
    return make_client(chart_limiter(1000))


def chart(
    client: ChartClient,
    resolution: Resolution = "1m",
    window: ChartWindow = WEEK,
    symbol: str = SYMBOL,
    splits: Sequence[Action] = (),
) -> ParsedChart:
    response = client.chart(symbol, resolution, window.start, window.end)
    return parse_chart(response.body, symbol, resolution, window, NOW, splits=splits)


def refused(client: ChartClient) -> str:
    with pytest.raises(SourceError) as caught:
        chart(client)
    return caught.value.reason


@pytest.mark.parametrize(("resolution", "seconds"), [("1m", 60), ("5m", 300), ("1h", 3600)])
def test_the_bars_equal_the_recording_to_the_digit(
    client: ChartClient, yahoo: LocalYahoo, resolution: Resolution, seconds: int
) -> None:
    minutes = recording()
    yahoo.declare_minutes(SYMBOL, minutes)

    whole = chart(client, resolution)

    assert list(whole.bars) == bars(minutes, seconds)
    assert (whole.complete_to, whole.problems) == (WEEK.end, ())


def test_bars_of_days_and_of_minutes_are_those_that_were_traded_before_a_split(
    client: ChartClient, yahoo: LocalYahoo
) -> None:
    minutes = recording()
    yahoo.declare_minutes(SYMBOL, minutes)
    events = {"date": int(datetime(2026, 11, 20, 14, 30, tzinfo=UTC).timestamp()), "numerator": 4, "denominator": 1}
    yahoo.declare_actions(SYMBOL, {"splits": {"1": events}})

    to_now = WEEK._replace(end=NOW - DAY, sessions=())
    daily = chart(client, "1d", to_now)
    whole = chart(client, splits=daily.actions)

    assert [action.action for action in daily.actions] == ["split"]
    by_day = [
        [minute for minute in minutes if start.timestamp() <= minute[0] < end.timestamp()] for start, end in SESSIONS
    ]
    assert list(daily.bars[:5]) == [bar(each, MIDNIGHT + number * DAY) for number, each in enumerate(by_day)]
    assert list(whole.bars) == bars(minutes, 60)
    assert whole.actions == ()
    assert chart(client).bars[0].open < whole.bars[0].open / 3  # without the split, prices are in new shares


def test_generated_charts_have_the_prices_of_the_tape(client: ChartClient) -> None:
    whole, five = chart(client, symbol="S1"), chart(client, "5m", symbol="S1")

    assert (len(whole.bars), len(five.bars), whole.problems) == (5 * 390, 5 * 78, ())
    assert all(-each.close.as_tuple().exponent <= 2 for each in whole.bars)  # type: ignore[operator]
    assert sum(each.volume or 0 for each in whole.bars) == sum(each.volume or 0 for each in five.bars)


def test_a_week_is_one_request_with_its_events_and_without_cookies(client: ChartClient, yahoo: LocalYahoo) -> None:
    chart(client)
    chart(client, "1d", symbol="^GSPC")

    assert yahoo.requested_charts() == {
        ChartRequest(SYMBOL, "1m", WEEK.start, WEEK.end): 1,
        ChartRequest("^GSPC", "1d", WEEK.start, WEEK.end): 1,
    }
    assert len(yahoo.requests()) == 2
    assert "events=div%2Csplit&includePrePost=false" in yahoo.requests()[0].query


class SkippedTime(threading.Condition):
    """A condition whose `wait` returns at once and advances the time."""

    now = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0
        return True


def test_each_request_waits_for_its_turn(make_client: MakeClient, yahoo: LocalYahoo) -> None:
    time = SkippedTime()
    client = make_client(RequestLimiter(TokenBucket(0.5, 1), 30, lambda: time.now, time))
    for _ in range(4):
        chart(client, "1d")

    assert (time.now, len(yahoo.requests(CHART_PATH))) == (6, 4)


def test_after_the_first_refusal_nothing_more_is_sent(client: ChartClient, yahoo: LocalYahoo) -> None:
    yahoo.add_fault(CHART_PATH, query="interval=1m", skip=1, status=429, body="Too Many Requests", times=-1)

    assert chart(client).bars
    assert [refused(client), refused(client)] == ["rate_limited", "rate_limited"]
    assert [request.status for request in yahoo.requests(CHART_PATH)] == [200, 429]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"status": 500}, "server_error"),
        ({"status": 503, "body": "<html>Will be right back"}, "server_error"),
        ({"status": 401, "body": "Unauthorized"}, "unauthorized"),
        ({"status": 302, "headers": {"location": "https://guce.yahoo.com/consent"}}, "malformed"),
        ({"drop": True, "times": -1}, "connection"),
        ({"cut": 0.5, "drop": True, "times": -1}, "malformed"),
    ],
)
def test_a_failure_has_its_reason_and_the_next_request_may_succeed(
    client: ChartClient, yahoo: LocalYahoo, fault: dict[str, Any], reason: str
) -> None:
    yahoo.add_fault(CHART_PATH, **fault)

    assert refused(client) == reason
    yahoo.reset()
    assert chart(client, "1d").bars


def test_half_a_body_that_looks_whole_is_malformed(client: ChartClient, yahoo: LocalYahoo) -> None:
    yahoo.add_fault(CHART_PATH, cut=0.5)

    with pytest.raises(MalformedResponse, match="the body is not JSON"):
        chart(client)


def test_an_answer_that_takes_too_long_times_out(make_client: MakeClient, yahoo: LocalYahoo) -> None:
    yahoo.add_fault(CHART_PATH, delay=5)

    assert refused(make_client(chart_limiter(1000, timeout_seconds=0.2))) == "timeout"


def test_a_client_that_waits_for_its_turn_can_be_stopped(make_client: MakeClient) -> None:
    slow = make_client(chart_limiter(0.001))
    chart(slow, "1d")
    reasons: list[str] = []
    waiting = threading.Thread(target=lambda: reasons.append(refused(slow)))
    waiting.start()
    slow.stop()
    wait_until(lambda: reasons == ["stopped"], "the waiting request was given up")
    waiting.join()


def test_symbols_and_windows_without_data(client: ChartClient) -> None:
    unknown = chart(client, symbol="RIDE")
    assert (unknown.is_known, unknown.complete_to) == (False, WEEK.start)
    weekend = ChartWindow(MIDNIGHT + 5 * DAY, MIDNIGHT + 7 * DAY, SESSIONS)
    assert chart(client, window=weekend).complete_to == weekend.end
    with pytest.raises(ChartError, match="Only 8 days worth"):
        chart(client, window=WEEK._replace(end=WEEK.start + 9 * DAY))
    for resolution, kept in (("1m", 30), ("5m", 60), ("1h", 730)):
        start = NOW - (kept + 1) * DAY
        with pytest.raises(ChartError, match=f"must be within the last {kept} days"):
            chart(client, resolution, ChartWindow(start, start + DAY))  # type: ignore[arg-type]


FIRST, LAST = (start.timestamp() for start, _ in (SESSIONS[0], SESSIONS[4]))


@pytest.mark.parametrize(
    "fault",
    [
        {"repeat": [(FIRST, FIRST + 3600)]},
        {"reverse": True},
        {"null": [(FIRST, FIRST + 600)], "cut": [(FIRST + 600, FIRST + 1200)]},
        {"no_volume": [(FIRST, FIRST + 3600)]},
        {"closing_rows": True},
    ],
    ids=["repeated", "unsorted", "null and cut", "no volume", "closing auction"],
)
def test_rows_with_faults_change_no_other_bar(client: ChartClient, yahoo: LocalYahoo, fault: dict[str, Any]) -> None:
    minutes = recording()
    yahoo.declare_minutes(SYMBOL, minutes)
    yahoo.disturb_charts(SYMBOL, **fault)

    whole = chart(client)

    hour = SESSIONS[0][0] + timedelta(hours=1)
    closes = {end for _, end in SESSIONS}
    expected = [each for each in bars(minutes, 60) if each.start >= hour]
    assert [each for each in whole.bars if each.start >= hour and each.start not in closes] == expected
    assert whole.complete_to == WEEK.end
    if "closing_rows" in fault:
        at_close = [each for each in whole.bars if each.start in closes]
        before = [one for one, other in pairwise(whole.bars) if other.start in closes]
        assert [(each.close, each.volume) for each in at_close] == [(each.close, None) for each in before]
        assert len(at_close) == 5
    if "no_volume" in fault:
        assert {each.volume for each in whole.bars if each.start < hour} == {None}
    if "cut" in fault:
        assert whole.bars[0].start >= SESSIONS[0][0] + 20 * MINUTE


def test_an_answer_that_ends_early_is_complete_up_to_there_and_whole_the_next_time(
    client: ChartClient, yahoo: LocalYahoo
) -> None:
    yahoo.declare_minutes(SYMBOL, recording())
    yahoo.disturb_charts(SYMBOL, ends_at=LAST + 3600, times=1)

    early, whole = chart(client), chart(client)

    assert SESSIONS[4][0] + 50 * MINUTE <= early.complete_to <= SESSIONS[4][0] + 60 * MINUTE
    assert whole.complete_to == WEEK.end
    assert early.bars == whole.bars[: len(early.bars)]


@pytest.mark.parametrize("meta", [{"symbol": "MSFT"}, {"dataGranularity": "5m"}])
def test_the_chart_of_something_else_is_malformed(client: ChartClient, yahoo: LocalYahoo, meta: dict[str, str]) -> None:
    yahoo.disturb_charts(SYMBOL, meta=meta, interval="1m")

    with pytest.raises(MalformedResponse):
        chart(client)
    assert chart(client, "1d").bars
