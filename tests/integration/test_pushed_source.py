"""A pushed source through the whole daemon: everything is delivered in order, until a stop or the end of the source."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import timedelta

import pytest

from producer_service.daemon import Daemon
from producer_service.http import Server
from producer_service.plan import make_plan
from producer_service.settings import Configuration, Settings
from producer_service.sources import FetchResult
from producer_service.sources.definition import SourceDefinition, SourceSettings
from producer_service.wiring import Producer
from quotes import Heartbeat
from tests.fakes.pushed_source import OPEN_END, FakePushedSource, Step
from tests.fakes.stream import FakeStream
from tests.support.quotes import OPEN, make_quote


def result(second: int, *symbols: str) -> FetchResult:
    quotes = tuple(make_quote(symbol, second) for symbol in symbols)
    return FetchResult(quotes=quotes, complete_to=OPEN + timedelta(seconds=second))


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def make_producer(source: FakePushedSource, stream: FakeStream) -> Producer:
    def open_(_settings: SourceSettings, _symbols: tuple[str, ...]) -> FakePushedSource:
        return source

    definition = SourceDefinition(
        name="fake", description="a fake", settings=SourceSettings, needs_symbols=False, open=open_
    )
    settings = Settings.model_construct(stream_name="quotes", source="fake", calendar="always", linger_seconds=0.0)
    config = Configuration(settings, (), {"fake": SourceSettings()})
    return Producer(settings, make_plan(config, {"fake": definition}, OPEN), stream)


def run(producer: Producer) -> int:
    server = Server("127.0.0.1", 0, producer.metrics.registry, producer.health, producer.status.page)
    with producer:
        return Daemon(producer, server).run()


def test_everything_pushed_is_delivered_in_its_order_over_a_lost_connection_until_a_stop() -> None:
    steps: list[Step] = [result(second, "AAPL", "MSFT") for second in range(1, 40)]
    source = FakePushedSource([*steps[:20], ConnectionResetError("reset")], [*steps[20:], OPEN_END])
    stream = FakeStream()
    producer = make_producer(source, stream)
    page: list[dict[str, object]] = []

    def stop_when_delivered() -> None:
        if len(stream.quotes) == 78 and not producer.stopping.is_set():
            assert producer.health.liveness().ok
            page.append(json.loads(producer.status.page()))
            producer.stopping.set()

    stream.on_put = stop_when_delivered
    assert run(producer) == 0
    for symbol in source.symbols:
        seconds = [(quote.event_time - OPEN).seconds for quote in stream.quotes if quote.symbol == symbol]
        assert seconds == list(range(1, 40))
    assert (source.opened, source.is_closed) == (2, True)
    assert producer.groups.pollers == ()
    assert page[0]["groups"][0]["last_poll"]["accepted"] == 2  # type: ignore[index]


def test_the_end_of_the_source_is_the_end_of_the_run() -> None:
    last = FetchResult(quotes=(make_quote(second=2),), complete_to=OPEN + timedelta(minutes=1), ended=True)
    stream = FakeStream()
    assert run(make_producer(FakePushedSource([result(1, "AAPL"), last]), stream)) == 0
    assert [quote.event_time.second for quote in stream.quotes] == [1, 2]
    closing_heartbeats = [line for line in stream.lines if isinstance(line, Heartbeat)]
    assert {each.complete_to for each in closing_heartbeats[-4:]} == {OPEN + timedelta(minutes=1)}
