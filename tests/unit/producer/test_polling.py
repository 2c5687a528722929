"""A poll: what it accepts, counts and says, with the source and the outbox under the test's hand."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from producer_service import ledger
from producer_service.journal import Journal
from producer_service.ledger import Ledger
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox
from producer_service.polling import Poller
from producer_service.sources import Failure, FetchResult, Rejected
from quotes import Heartbeat, Quote, decode
from tests.unit.producer.conftest import OPEN

LANES = 2
MakeQuote = Callable[..., Quote]


class FakeSource:
    """Answers each fetch with the next of its results."""

    symbols = ("AAPL", "MSFT")

    def __init__(self, *results: FetchResult) -> None:
        self.results = list(results)
        self.during: Callable[[], None] = lambda: None

    def fetch(self, symbols: Sequence[str], now: datetime) -> FetchResult:  # noqa: ARG002  (the protocol's)
        self.during()
        return self.results.pop(0)

    def close(self) -> None:
        """Nothing to give back."""


class Bench:
    """A poller with everything around it."""

    def __init__(self, source: FakeSource, path: Path, max_bytes: int = 2**20) -> None:
        self.now = OPEN
        self.beats = 0
        self.stopping = threading.Event()
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self.ledger_path = path / "ledger.jsonl"
        self._ledger = Ledger(self.ledger_path)
        self.outbox = Outbox(
            Journal(None, LANES),
            lanes=LANES,
            max_bytes=max_bytes,
            linger_seconds=0,
            clock=lambda: 0.0,
            monotonic=lambda: 0.0,
            jitter=random.random,
        )
        self.poller = Poller(
            source,
            source.symbols,
            self.outbox,
            self._ledger,
            self.metrics,
            now=lambda: self.now,
            stopping=self.stopping,
            advance=self.advance,
        )

    def close(self) -> None:
        self._ledger.close()
        self.outbox.close()

    def advance(self) -> None:
        self.beats += 1

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"stockstream_{name}", labels) or 0.0

    def sent(self) -> list[Quote | Heartbeat]:
        """Everything pending, taken and acknowledged."""
        lines: list[Quote | Heartbeat] = []
        while packets := self.outbox.take(0):
            lines += [good.line for packet in packets for good in decode(packet.data).good]
            self.outbox.settle(packets, [True] * len(packets))
        return lines


MakeBench = Callable[..., Bench]


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[MakeBench]:
    made: list[Bench] = []

    def make(source: FakeSource, **options: int) -> Bench:
        made.append(Bench(source, tmp_path, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


def test_every_quote_fetched_has_one_outcome_in_report_counters_and_ledger(
    make_quote: MakeQuote, make_bench: MakeBench
) -> None:
    result = FetchResult(
        quotes=(make_quote(second=1), make_quote(second=2), make_quote(second=2), make_quote(second=1)),
        rejected=(Rejected("MSFT", "price nan"),),
        missing=("RIDE",),
    )
    bench = make_bench(FakeSource(result))
    report = bench.poller.poll()
    assert report is not None
    assert (report.fetched, report.accepted, report.suppressed, report.late, report.rejected, report.missing) == (
        5,
        2,
        1,
        1,
        1,
        1,
    )
    counts = [bench.count("quotes_total", outcome=name) for name in ("accepted", "suppressed", "late", "rejected")]
    assert counts == [2, 1, 1, 1]
    assert bench.count("missing_symbols") == 1
    assert [identity.event_time for identity in ledger.read(bench.ledger_path)] == [
        OPEN + timedelta(seconds=1),
        OPEN + timedelta(seconds=2),
    ]


@pytest.mark.parametrize(("with_quotes", "outcome"), [(True, "partial"), (False, "failed")])
def test_a_failed_request_is_counted_and_its_neighbours_are_kept(
    make_quote: MakeQuote, make_bench: MakeBench, *, with_quotes: bool, outcome: str
) -> None:
    failure = Failure("rate_limited", "HTTP 429", ("MSFT",))
    bench = make_bench(FakeSource(FetchResult(quotes=(make_quote(),) * with_quotes, failures=(failure,))))
    bench.poller.poll()
    assert bench.count("polls_total", outcome=outcome) == 1
    assert bench.count("source_failures_total", reason="rate_limited") == 1
    assert len(bench.sent()) == with_quotes


def test_a_heartbeat_says_what_the_last_complete_poll_said_and_follows_its_quotes(
    make_quote: MakeQuote, make_bench: MakeBench
) -> None:
    complete = FetchResult(quotes=(make_quote(),), complete_to=OPEN)
    failed = FetchResult(failures=(Failure("timeout", "", ("AAPL",)),))
    bench = make_bench(FakeSource(complete, failed))
    bench.poller.poll()
    bench.poller.poll()
    bench.poller.beat()
    lines = bench.sent()
    heartbeats = [line for line in lines if isinstance(line, Heartbeat)]
    assert [heartbeat.complete_to for heartbeat in heartbeats] == [OPEN] * LANES
    of_lane = [line for line in lines if isinstance(line, Quote) or line.lane == "lane-00-of-02"]
    assert isinstance(of_lane[0], Quote)


def test_before_the_first_complete_poll_a_heartbeat_claims_nothing(make_bench: MakeBench) -> None:
    bench = make_bench(FakeSource())
    bench.poller.beat()
    assert [line.complete_to for line in bench.sent() if isinstance(line, Heartbeat)] == [None] * LANES


def test_heartbeats_of_one_millisecond_are_told_apart(make_bench: MakeBench) -> None:
    bench = make_bench(FakeSource())
    bench.poller.beat()
    bench.poller.close()
    clocks = [line.clock for line in bench.sent() if isinstance(line, Heartbeat) and line.lane == "lane-00-of-02"]
    assert clocks == [OPEN, OPEN + timedelta(milliseconds=1)]


def test_polls_until_the_source_has_nothing_more_that_is_due(make_quote: MakeQuote, make_bench: MakeBench) -> None:
    results = [FetchResult(quotes=(make_quote(second=n),), more=n < 3) for n in range(1, 4)]
    bench = make_bench(FakeSource(*results))
    bench.poller.poll_all()
    assert len(bench.sent()) == 3


def test_a_poll_that_comes_back_after_the_close_is_not_accepted(make_quote: MakeQuote, make_bench: MakeBench) -> None:
    source = FakeSource(FetchResult(quotes=(make_quote(),)))
    bench = make_bench(source)
    source.during = bench.poller.close
    assert bench.poller.poll() is None
    assert all(isinstance(line, Heartbeat) for line in bench.sent())
    assert list(ledger.read(bench.ledger_path)) == []


def test_a_full_outbox_holds_the_poll_up_until_there_is_room_and_counts_the_time(
    make_quote: MakeQuote, make_bench: MakeBench
) -> None:
    source = FakeSource(*(FetchResult(quotes=(make_quote(second=n),)) for n in (1, 2)))
    bench = make_bench(source, max_bytes=10)
    bench.poller.poll()
    waiting = threading.Thread(target=bench.poller.poll)
    waiting.start()
    assert len(source.results) == 1  # not fetched: what is not asked for cannot be lost
    bench.sent()
    waiting.join(10)
    assert source.results == []
    assert bench.count("outbox_full_seconds_total") > 0


def test_a_stop_ends_the_wait_for_room(make_quote: MakeQuote, make_bench: MakeBench) -> None:
    source = FakeSource(*(FetchResult(quotes=(make_quote(second=n),)) for n in (1, 2)))
    bench = make_bench(source, max_bytes=10)
    bench.poller.poll()
    bench.stopping.set()
    assert bench.poller.poll() is None
    assert len(source.results) == 1
