"""Splits and dividends that the local Yahoo declares, through the real yfinance and the real producer."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from producer_service.plan import make_plan
from producer_service.settings import Configuration, Settings
from producer_service.sources import FetchResult
from producer_service.sources.definition import SourceDefinition, SourceSettings
from producer_service.sources.yahoo.action_schedule import ActionSchedule
from producer_service.sources.yahoo.source import YahooSource
from producer_service.wiring import Producer
from quotes import Action, Quote, lane_of
from tests.fakes.stream import FakeStream
from tests.fakes.yahoo.local_yahoo import CHART_PATH, QUOTE_PATH, LocalYahoo
from tests.support.waiting import wait_until
from tests.support.yahoo_sources import OPEN, MakeSource, skip

DATE = int(OPEN.timestamp())


def split(numerator: object, denominator: object, date: object = DATE - 60) -> dict[str, Any]:
    declared = {"date": date, "numerator": numerator, "denominator": denominator, "splitRatio": "?"}
    return {"splits": {str(date): declared}}


@pytest.fixture
def asking(make_source: MakeSource) -> YahooSource:
    """A source that asks for actions from its first poll on, and does not wait for its rate."""
    return make_source(action_schedule=ActionSchedule(per_second=1000, burst=1000, start_seconds=0))


def charted(yahoo: LocalYahoo) -> list[str]:
    return [request.path.removeprefix(CHART_PATH) for request in yahoo.requests(CHART_PATH)]


def fetch_when_charted(source: YahooSource, *symbols: str) -> FetchResult:
    """The result of a poll after the requests that an earlier one started."""
    running = source._actions._running
    assert running is not None
    wait_until(running.done, "the requests for actions have ended")
    return source.fetch(symbols, OPEN)


def test_shares_and_funds_are_asked_and_other_symbols_are_not(asking: YahooSource, yahoo: LocalYahoo) -> None:
    symbols = ("AAPL", "BRK-B", "SPY", "^GSPC", "BTC-USD", "EURUSD=X", "GC=F", "VOD.L", "ZZZZ")
    yahoo.declare_actions("AAPL", split(31, 1000) | {"dividends": {"1": {"date": DATE - 86_400, "amount": 8.387097}}})

    assert asking.fetch(symbols, OPEN).actions == ()
    result = fetch_when_charted(asking, *symbols)

    assert [(each.symbol, each.action, each.event_time) for each in result.actions] == [
        ("AAPL", "dividend", OPEN - timedelta(days=1)),
        ("AAPL", "split", OPEN - timedelta(minutes=1)),
    ]
    assert (result.actions[0].amount, result.actions[0].currency) == (Decimal("0.26"), "USD")
    assert (result.actions[1].numerator, result.actions[1].denominator) == (31, 1000)
    assert sorted(charted(yahoo)) == ["AAPL", "BRK-B", "SPY", "VOD.L"]
    query = yahoo.requests(CHART_PATH)[0].query
    assert "crumb" not in query
    assert "events=div%2Csplit" in query
    assert len(yahoo.requests(QUOTE_PATH)) == 2


@pytest.mark.parametrize(("numerator", "denominator"), [(31, 1000), (4, 1), (5, 2), (1, 35)])
def test_prices_change_by_the_ratio_of_a_split(
    make_source: MakeSource, yahoo: LocalYahoo, numerator: int, denominator: int
) -> None:
    source = make_source()
    yahoo.set_clock(OPEN.timestamp(), speed=0)
    (before,) = source.fetch(["AAPL"], OPEN).quotes
    yahoo.declare_actions("AAPL", split(numerator, denominator))
    (after,) = source.fetch(["AAPL"], OPEN).quotes

    assert before.previous_close is not None
    assert after.previous_close is not None
    for old, new in ((before.price, after.price), (before.previous_close, after.previous_close)):
        assert float(new / old) == pytest.approx(denominator / numerator, rel=0.01)


@pytest.mark.parametrize(
    "events",
    [
        split("4:1", "4:1"),
        split(None, 1),
        split(4, 0),
        split(-4, 1),
        split(1.5, 1),
        split(4, 1, date="2026-11-23"),
        split(4, 1, date=DATE + 86_400),
        {"splits": ["4:1"]},
        {"splits": "4:1"},
        {"dividends": {"1": {"date": DATE, "amount": -0.26}}},
        {"dividends": {"1": {"date": DATE, "amount": "0.26"}}},
    ],
)
def test_an_action_in_another_form_is_rejected_and_fails_no_poll(
    asking: YahooSource, yahoo: LocalYahoo, events: dict[str, Any]
) -> None:
    yahoo.declare_actions("AAPL", events)

    results = [asking.fetch(["AAPL"], OPEN), fetch_when_charted(asking, "AAPL")]

    assert [rejected.symbol for rejected in results[1].rejected_actions] == ["AAPL"]
    for result in results:
        assert (result.actions, result.failures) == ((), ())
        assert result.complete_to is not None


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 401, "body": "no"},
        {"status": 404, "body": '{"chart":{"result":null,"error":{"code":"Not Found","description":"?"}}}'},
        {"status": 500, "body": "oops"},
        {"status": 200, "body": "<html></html>"},
        {"status": 200},
        {"status": 302, "headers": {"location": "https://guce.yahoo.com/consent"}},
        {"drop": True},
    ],
    ids=str,
)
def test_a_failing_chart_fails_no_poll(asking: YahooSource, yahoo: LocalYahoo, fault: dict[str, Any]) -> None:
    yahoo.add_fault(CHART_PATH, **fault, times=-1)

    results = [asking.fetch(["AAPL"], OPEN)]
    results += [fetch_when_charted(asking, "AAPL") for _ in range(3)]

    assert 1 <= len(charted(yahoo)) <= 2  # curl repeats a request whose connection ends
    for result in results:
        assert (result.actions, result.failures, result.paused_until) == ((), (), None)
        assert len(result.quotes) == 1
        assert result.complete_to is not None


def test_too_many_requests_for_a_chart_pause_quotes_too(asking: YahooSource, yahoo: LocalYahoo) -> None:
    yahoo.add_fault(CHART_PATH, status=429, body="Too Many Requests", times=-1)
    asking.fetch(["AAPL", "MSFT"], OPEN)

    result = fetch_when_charted(asking, "AAPL", "MSFT")

    assert result.paused_until is not None
    assert result.quotes == ()
    assert len(charted(yahoo)) == len(yahoo.requests(QUOTE_PATH)) == 1

    yahoo.reset()
    skip(asking, (result.paused_until - OPEN).total_seconds())
    assert len(asking.fetch(["AAPL", "MSFT"], result.paused_until).quotes) == 2


def test_within_the_first_seconds_no_chart_is_requested(make_source: MakeSource, yahoo: LocalYahoo) -> None:
    source = make_source(action_schedule=ActionSchedule())
    for _ in range(3):
        assert source.fetch(["AAPL"], OPEN).quotes
    assert charted(yahoo) == []


def test_a_declared_split_is_a_line_of_the_stream_in_the_lane_of_its_symbol(
    asking: YahooSource, yahoo: LocalYahoo
) -> None:
    yahoo.set_clock(None)
    date = int(time.time()) - 60
    yahoo.declare_actions("AAPL", split(31, 1000, date))
    stream = FakeStream()
    with ExitStack() as running:
        producer = make_producer(asking, stream)
        running.enter_context(producer)
        producer.sender.start()
        running.callback(producer.sender.stop)
        poller = producer.groups.pollers[0]
        wait_until(lambda: poller.poll() and actions(stream), "the split is on the stream")
        poller.poll()
        wait_until(lambda: not producer.outbox.counts().bytes, "everything is delivered")
        counts = producer.outbox.counts()

    (action,) = actions(stream)
    assert (action.symbol, action.action, action.numerator, action.denominator) == ("AAPL", "split", 31, 1000)
    assert action.event_time.timestamp() == date
    (packet,) = (each for each in stream.taken if b'"kind":"action"' in each.data)
    assert packet.lane == lane_of("AAPL", producer.settings.lanes)
    assert counts.accepted == counts.acknowledged == len(stream.quotes)
    for earlier, later in pairwise(quote for quote in stream.quotes if quote.symbol == "AAPL"):
        assert isinstance(later, Quote)
        assert earlier.identity < later.identity


def actions(stream: FakeStream) -> list[Action]:
    return [line for line in stream.lines if isinstance(line, Action)]


def make_producer(source: YahooSource, stream: FakeStream) -> Producer:
    definition = SourceDefinition(
        name="yahoo",
        description="the local Yahoo",
        settings=SourceSettings,
        needs_symbols=True,
        open=lambda _settings, _symbols: source,
    )
    settings = Settings.model_construct(
        stream_name="quotes", symbols=("AAPL", "MSFT"), calendar="always", linger_seconds=0.0
    )
    config = Configuration(settings, (), {"yahoo": SourceSettings()})
    return Producer(settings, make_plan(config, {"yahoo": definition}, OPEN), stream)
