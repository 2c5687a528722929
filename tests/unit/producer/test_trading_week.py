"""A whole trading week with a holiday and an early close: when polls happen, and how far lanes are complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from producer_service import calendars
from producer_service.hours import EARLIEST, Hours, is_due
from producer_service.market_hours import Calendar
from producer_service.sources import FetchResult
from producer_service.sources.yahoo import traits_of
from quotes import Heartbeat, Quote, lane_of, partition_key
from tests.fakes.producer_bench import LANES, Bench, FakeSource, calendar, group
from tests.support.sizes import sized

SUNDAY = datetime(2026, 11, 22, tzinfo=UTC)
BEFORE, AFTER = timedelta(minutes=5), timedelta(minutes=10)
SHARE, COIN = "AAPL", "BTC-USD"


@pytest.fixture(scope="module")
def new_york() -> Calendar:
    return calendars.load("XNYS", SUNDAY)


def every(step: timedelta) -> Iterator[datetime]:
    """The moments of the week of Thanksgiving, Sunday to Sunday."""
    moment = SUNDAY
    while moment < SUNDAY + timedelta(days=7):
        yield moment
        moment += step


def test_polls_of_a_week_follow_the_exchange(new_york: Calendar) -> None:
    hours = Hours(new_york.sessions, before=BEFORE, after=AFTER)
    completed_at: datetime | None = None
    polled: dict[str, list[datetime]] = {}
    for now in every(timedelta(seconds=10)):
        if is_due(hours.phase(now), completed_at):
            completed_at = now
            polled.setdefault(f"{now:%a}", []).append(now)
    spans = {day: (f"{times[0]:%H:%M:%S}", f"{times[-1]:%H:%M:%S}") for day, times in polled.items()}
    assert spans == {
        "Sun": ("00:00:00", "00:00:00"),  # the newest prices, at the start
        "Mon": ("14:25:00", "21:10:00"),  # the last at the close and its margin
        "Tue": ("14:25:00", "21:10:00"),
        "Wed": ("14:25:00", "21:10:00"),
        "Fri": ("14:25:00", "18:10:00"),
    }
    assert Counter({day: len(times) for day, times in polled.items()}) == {
        "Sun": 1,
        **dict.fromkeys(("Mon", "Tue", "Wed"), 6 * (6 * 60 + 45) + 1),
        "Fri": 6 * (3 * 60 + 45) + 1,
    }


def test_a_closed_exchange_holds_no_lane_back_and_no_quote_comes_after_complete_to(
    new_york: Calendar, tmp_path: Path
) -> None:
    assert lane_of(SHARE, LANES) == lane_of(COIN, LANES)  # otherwise neither could hold the other back
    polls_per_hour = sized(2, 4)
    step = timedelta(hours=1) / polls_per_hour

    def answer(symbols: Sequence[str], now: datetime) -> FetchResult:
        phase = Hours(new_york.sessions).phase(now)
        newest = now if symbols == (COIN,) or phase.is_open else phase.since or now - timedelta(days=1)
        quotes = tuple(
            Quote(symbol=symbol, event_time=newest, price=Decimal(1), source="yahoo", ingest_time=now)
            for symbol in symbols
        )
        return FetchResult(quotes=quotes, complete_to=now - timedelta(seconds=10))

    source = FakeSource()
    source.answer = answer
    groups = group("us", (SHARE,), calendar="XNYS"), group("coins", (COIN,))
    lane = partition_key(lane_of(SHARE, LANES), LANES)
    complete_to = EARLIEST
    lags: set[timedelta] = set()
    with closing(Bench(source, tmp_path, *groups, calendars={"XNYS": new_york})) as bench:
        for now in every(step):
            bench.now = now
            for poller in bench.pollers:
                poller.poll_if_due()
            bench.now = now + timedelta(seconds=30)
            bench.intake.beat()
            for line in bench.sent():
                if isinstance(line, Quote):
                    assert line.event_time >= complete_to
                elif isinstance(line, Heartbeat) and line.lane == lane and line.complete_to is not None:
                    complete_to = line.complete_to
                    lags.add(line.clock - complete_to)
        polls = bench.count("polls_total", outcome="complete")
    assert lags == {timedelta(seconds=40)}
    sessions = 3 * 6.5 + 3.5
    # Those of the coin, those of the share, one after each close, and the first.
    assert polls == 7 * 24 * polls_per_hour + sessions * polls_per_hour + 4 + 1


def test_r4_the_official_close_of_hong_kong_is_accepted_and_its_lane_was_not_complete_past_it(tmp_path: Path) -> None:
    """Recorded: the close bears 16:08:25, and it is visible 15 minutes later. It came at the next open."""
    opens, closes = datetime(2026, 9, 30, 5, tzinfo=UTC), datetime(2026, 9, 30, 8, tzinfo=UTC)
    official = datetime(2026, 9, 30, 8, 8, 25, tzinfo=UTC)
    delay = timedelta(minutes=15)

    def answer(symbols: Sequence[str], now: datetime) -> FetchResult:
        seen = now - delay
        event_time = official if seen >= official else min(seen, closes)
        quote = Quote(
            symbol=symbols[0],
            event_time=event_time,
            price=Decimal(1),
            source="yahoo",
            ingest_time=now,
            delay_minutes=15,
        )
        return FetchResult(quotes=(quote,), complete_to=seen - timedelta(seconds=10))

    source = FakeSource(traits=traits_of(extended_hours=False))
    source.answer = answer
    hong_kong = calendar("XHKG", (opens, closes), (opens + timedelta(days=1), closes + timedelta(days=1)))
    lane = partition_key(lane_of("1299.HK", LANES), LANES)
    claims: dict[datetime, datetime] = {}
    last = None
    watched = group("hk", ("1299.HK",), calendar="auto")
    with closing(Bench(source, tmp_path, watched, calendars={"XHKG": hong_kong})) as bench:
        for minute in range(6 * 60):
            bench.now = opens + timedelta(minutes=minute, seconds=5)
            bench.poller.poll_if_due()
            bench.intake.beat()
            for line in bench.sent():
                if isinstance(line, Quote):
                    assert line.event_time >= max(claims.values(), default=EARLIEST)
                    last = line
                elif isinstance(line, Heartbeat) and line.lane == lane and line.complete_to is not None:
                    claims[bench.now] = line.complete_to
        assert bench.count("quotes_total", outcome="late") == 0
    assert last is not None
    assert (last.event_time, last.ingest_time) == (official, datetime(2026, 9, 30, 8, 24, 5, tzinfo=UTC))
    assert (
        claims[closes + timedelta(minutes=16, seconds=5)] == claims[closes + timedelta(minutes=74, seconds=5)] == closes
    )
    assert claims[closes + timedelta(minutes=75, seconds=5)] > official
