"""A day of polls and heartbeats while the clock of the host is set forward and back at random."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from producer_service.clock import TOLERANCE_SECONDS
from producer_service.sources import FetchResult
from quotes import MAX_CLOCK_SKEW, Heartbeat, Line, Quote
from tests.fakes.producer_bench import Bench, FakeSource, calendar, group
from tests.support.clocks import Host
from tests.support.quotes import OPEN, make_quote
from tests.support.sizes import sized

POLL_SECONDS = 30
STALENESS = timedelta(seconds=10)
"""How much later than now a source may still deliver a quote, as Yahoo's caches do."""
CLOSES = OPEN + timedelta(hours=1)
CLOCK_ERROR = timedelta(seconds=TOLERANCE_SECONDS + 0.1)
"""The most by which the producer's clock may be wrong: an answer takes a tenth of a second."""
SESSIONS = calendar("DAY", (OPEN - timedelta(minutes=1), CLOSES))
STEPS = (2.0, -2.0, 59.0, -59.0, 61.0, -61.0, 3600.0, -3600.0, 90 * 86_400.0, -90 * 86_400.0)


class Day:
    """A producer on a host whose clock is wrong, a source that trades by the true time, and what was delivered."""

    def __init__(self, host: Host, directory: Path, *, is_dated: bool) -> None:
        self.host = host
        self.is_dated = is_dated
        self.last_polled: datetime | None = None
        source = FakeSource()
        source.answer = self.answer
        self.bench = Bench(
            source, directory, group(symbols=("AAPL",), calendar="DAY"), calendars={"DAY": SESSIONS}, max_bytes=2**30
        )
        self.quotes: list[Quote] = []
        self.heartbeats: list[Heartbeat] = []
        if is_dated:
            host.ask_service(took=0.1)

    def answer(self, _symbols: Sequence[str], now: datetime) -> FetchResult:
        self.last_polled = self.host.truth
        time = min(self.host.truth, CLOSES).replace(microsecond=0) - timedelta(seconds=4)
        age = Decimal(int((time - OPEN).total_seconds()))
        if time - now > MAX_CLOCK_SKEW:  # a quote of the future, which no quote may hold
            return FetchResult(complete_to=now - STALENESS)
        quote = replace(make_quote(), event_time=time, ingest_time=now, price=100 + age)
        return FetchResult(quotes=(quote,), complete_to=now - STALENESS)

    def go_on(self, seconds: float) -> None:
        """Let time pass, look at the clock, poll if that is due, send heartbeats, and deliver."""
        self.host.run(seconds)
        self.bench.now = self.host.clock.now()
        self.bench.poller.poll_if_due()
        self.bench.intake.beat()
        for line in self.bench.sent():
            self.receive(line)
        if self.is_dated:
            self.host.ask_service(took=0.1)

    def receive(self, line: Line) -> None:
        """Check what must hold for each line when it arrives."""
        if isinstance(line, Heartbeat):
            earlier = [each for each in self.heartbeats if each.lane == line.lane]
            if self.is_dated:
                assert not earlier or line.clock > earlier[-1].clock
                latest = self.host.truth + CLOCK_ERROR
                assert line.clock <= latest
                # While the exchange is closed, a group is complete up to the clock.
                assert line.complete_to is None or line.complete_to <= (
                    latest if self.host.truth > CLOSES else latest - STALENESS
                )
            self.heartbeats.append(line)
        elif isinstance(line, Quote):
            if self.is_dated:
                assert line.event_time <= self.host.truth + MAX_CLOCK_SKEW
                complete_to = [each.complete_to for each in self.heartbeats if each.complete_to is not None]
                assert not complete_to or line.event_time >= max(complete_to)
            self.quotes.append(line)


@pytest.mark.parametrize("seed", range(sized(3, 50)))
def test_no_quote_is_late_and_no_claim_false_while_the_service_states_the_time(seed: int, tmp_path: Path) -> None:
    chance = Random(seed)
    day = Day(Host(error=chance.choice((0.0, *STEPS))), tmp_path, is_dated=True)
    while day.host.truth < CLOSES + timedelta(minutes=10):
        if chance.random() < 0.2:
            day.host.step(chance.choice(STEPS))
        before = len(day.quotes)
        is_open = day.host.truth < CLOSES - timedelta(seconds=POLL_SECONDS + 3)
        day.go_on(POLL_SECONDS)
        assert len(day.quotes) == before + 1 or not is_open, "no poll is missing"
    assert day.last_polled is not None
    assert day.last_polled >= CLOSES - timedelta(seconds=3), "the close is not missing"
    assert day.bench.outbox.counts().late == 0
    day.bench.close()


@pytest.mark.parametrize("seed", range(sized(3, 50)))
def test_without_a_service_polls_and_heartbeats_recover_when_the_clock_does(seed: int, tmp_path: Path) -> None:
    chance = Random(seed)
    day = Day(Host(), tmp_path, is_dated=False)
    for _ in range(60):
        if chance.random() < 0.3:
            day.host.step(chance.choice(STEPS))
        day.go_on(POLL_SECONDS)
    day.host.step(-day.host.error)
    for _ in range(6):
        day.go_on(POLL_SECONDS)
    assert day.quotes[-1].event_time > day.host.truth - timedelta(seconds=POLL_SECONDS)
    first, last = day.heartbeats[-4], day.heartbeats[-2]
    assert first.lane == last.lane
    assert first.clock < last.clock <= day.host.truth
    assert day.bench.poller.state.is_due(day.bench.now)
    day.bench.close()


@pytest.mark.parametrize("ahead", [timedelta(minutes=2), timedelta(hours=1), timedelta(days=90)])
def test_the_memory_of_an_hour_that_was_fast_does_not_outlive_a_restart(ahead: timedelta, tmp_path: Path) -> None:
    """S13: an older version accepted quotes of the future, and its histories are in the journal."""
    quote = make_quote(second=60)
    poisoned = replace(quote, event_time=quote.event_time + ahead, ingest_time=quote.ingest_time + ahead)
    source = FakeSource(FetchResult(quotes=(poisoned,)), FetchResult(quotes=(quote,)))
    bench = Bench(source, tmp_path, group(symbols=("AAPL",)))
    bench.poller.poll()
    report = bench.poller.poll()
    assert report is not None
    assert (report.accepted, report.late) == (1, 0)
    bench.close()
