"""The sender's metrics, with a stream that the test controls."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from producer_service.deduplication import deduplicate
from producer_service.freshness import Freshness
from producer_service.health import Health
from producer_service.journal import Journal
from producer_service.metrics import Metrics
from producer_service.outbox import Outbox
from producer_service.sender import Sender
from quotes import lane_of
from tests.fakes.stream import FakeStream
from tests.support.quotes import OPEN, make_quote

LANES = 2
NOW = OPEN.timestamp() + 7


class SenderBench:
    """A sender with one thread, between an outbox and a fake stream."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.outbox = Outbox(
            Journal(None, LANES),
            lanes=LANES,
            max_bytes=2**20,
            linger_seconds=0,
            clock=lambda: NOW,
            monotonic=time.monotonic,
            jitter=lambda: 0.0,
        )

    def deliver(self, stream: FakeStream) -> None:
        sender = Sender(self.outbox, stream, Metrics(self.registry), Health(lambda: 0.0), threads=1, clock=lambda: NOW)
        sender.start()
        assert self.outbox.wait_until_empty(10)
        sender.stop()

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"stockstream_{name}", labels) or 0.0


@pytest.fixture
def bench() -> Iterator[SenderBench]:
    bench = SenderBench()
    yield bench
    bench.outbox.close()


def test_a_quote_counts_as_fresh_as_it_is_when_acknowledged_and_once(bench: SenderBench) -> None:
    delayed = replace(make_quote("MSFT", second=-900), delay_minutes=15)
    assert lane_of("MSFT", LANES) != lane_of("AAPL", LANES)
    bench.outbox.put(deduplicate({}, [make_quote("AAPL", second=0), make_quote("AAPL", second=5), delayed]))
    bench.deliver(FakeStream("timeout", "throttled"))
    assert bench.count("freshness_seconds_count") == 3
    assert bench.count("freshness_seconds_sum") == 7 + 2 + 7
    assert [bench.count("freshness_seconds_bucket", le=bound) for bound in ("1.0", "2.5", "5.0", "10.0", "+Inf")] == [
        0,
        1,
        1,
        3,
        3,
    ]


def test_each_retry_is_counted_by_its_reason(bench: SenderBench) -> None:
    bench.outbox.put(deduplicate({}, [make_quote("AAPL"), make_quote("MSFT")]))
    stream = FakeStream("timeout", "timeout", "throttled")
    bench.deliver(stream)
    outcomes = {name: bench.count("packets_total", outcome=name) for name in ("timeout", "throttled", "acknowledged")}
    assert outcomes == {"timeout": 4, "throttled": 2, "acknowledged": 2}
    assert bench.count("put_bytes_count") == bench.count("put_seconds_count") == 4
    assert len(stream.taken) == 2


def test_a_clock_behind_the_exchange_s_takes_nothing_off_the_sum() -> None:
    registry, freshness = CollectorRegistry(), Freshness()
    registry.register(freshness)
    freshness.add([NOW + 30], NOW)
    assert registry.get_sample_value("stockstream_freshness_seconds_sum") == 0
    assert registry.get_sample_value("stockstream_freshness_seconds_bucket", {"le": "0.1"}) == 1
