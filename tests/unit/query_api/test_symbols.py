"""`/v1/symbols`: every symbol with its calendar and how fresh it is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lane_state import LaneState
from tests.fakes.query_ports import NOW, QueryWorld
from tests.support.query_states import SECOND, make_symbol


def test_a_feed_without_data_has_no_symbols() -> None:
    assert QueryWorld().get("/v1/symbols").json() == {"as_of": None, "symbols": []}


def test_lists_the_symbols_of_all_lanes_in_order() -> None:
    world = QueryWorld()
    for symbol in ("MSFT", "AAPL", "BTC-USD"):
        world.commit(world.lane(symbol), LaneState(clock=NOW - SECOND, symbols={symbol: make_symbol()}))
    answer = world.get("/v1/symbols").json()
    assert answer["as_of"] == "2026-11-23T14:59:59.000Z"
    assert [each["symbol"] for each in answer["symbols"]] == ["AAPL", "BTC-USD", "MSFT"]


def test_says_what_is_known_of_a_symbol() -> None:
    world = QueryWorld()
    world.calendars.put({"id": "symbols", "name": "AAPL", "calendar": "XNYS", "timezone": "America/New_York"})
    world.commit(world.lane("AAPL"), LaneState(clock=NOW, symbols={"AAPL": make_symbol(currency="USD")}))
    assert world.get("/v1/symbols").json()["symbols"] == [
        {
            "symbol": "AAPL",
            "currency": "USD",
            "calendar": "XNYS",
            "timezone": "America/New_York",
            "event_time": "2026-11-23T14:59:58.000Z",
            "delay_minutes": 0,
            "is_open": True,
            "freshness": "fresh",
        }
    ]


@pytest.mark.parametrize(
    ("silence", "interval", "delay", "clock_age", "expected"),
    [
        (59, 1, 0, 0, "fresh"),
        (60, 1, 0, 0, "fresh"),
        (61, 1, 0, 0, "stale"),
        (119, 30, 0, 0, "fresh"),
        (121, 30, 0, 0, "stale"),
        (61 + 900, 1, 15, 0, "stale"),
        (59 + 900, 1, 15, 0, "fresh"),
        (1, 1, 0, 180, "fresh"),
        (1, 1, 0, 181, "stale"),
    ],
)
def test_freshness(silence: int, interval: int, delay: int, clock_age: int, expected: str) -> None:
    world = QueryWorld()
    clock = NOW - timedelta(seconds=clock_age)
    symbol = make_symbol(
        event_time=clock - timedelta(seconds=silence),
        interval_ms=interval * 1_000,
        delay_minutes=delay,
    )
    world.commit(world.lane("AAPL"), LaneState(clock=clock, symbols={"AAPL": symbol}))
    assert world.get("/v1/symbols").json()["symbols"][0]["freshness"] == expected


def test_a_closed_market_is_closed_however_old_its_quotes_are() -> None:
    world = QueryWorld()
    clock = NOW - timedelta(hours=1)
    symbol = make_symbol(event_time=clock - timedelta(hours=2), is_open=False)
    world.commit(world.lane("AAPL"), LaneState(clock=clock, symbols={"AAPL": symbol}))
    assert world.get("/v1/symbols").json()["symbols"][0]["freshness"] == "closed"


def test_after_an_open_silence_is_counted_from_the_open() -> None:
    world = QueryWorld()
    symbol = make_symbol(event_time=NOW - timedelta(days=1), open_since=NOW - 30 * SECOND)
    world.commit(world.lane("AAPL"), LaneState(clock=NOW, symbols={"AAPL": symbol}))
    assert world.get("/v1/symbols").json()["symbols"][0]["freshness"] == "fresh"
