"""`/v1/latest`: the last price of each symbol, with the digits of its quote."""

from __future__ import annotations

from decimal import Decimal

import pytest

from lane_state import LaneState
from processor_lambda.rows import change_percent_of
from quotes import Quote
from tests.fakes.query_ports import NOW, QueryWorld
from tests.support.query_states import MINUTE, SECOND, make_bar, make_symbol


def world_of(*symbols: str) -> QueryWorld:
    world = QueryWorld()
    for symbol in symbols:
        world.commit(world.lane(symbol), LaneState(clock=NOW, symbols={symbol: make_symbol()}))
    return world


def test_a_quote_has_what_is_known_of_it() -> None:
    world = QueryWorld()
    start = NOW.replace(second=0) - MINUTE
    symbol = make_symbol(
        price=Decimal("271.490"),
        previous_close=Decimal(270),
        volume=12_345,
        currency="USD",
        exchange="NMS",
        revision=2,
        delay_minutes=15,
        bar=make_bar("AAPL", start, low=Decimal("0.00000001"), volume=None),
    )
    world.commit(world.lane("AAPL"), LaneState(clock=NOW, symbols={"AAPL": symbol}))
    assert world.get("/v1/latest").json() == {
        "as_of": "2026-11-23T15:00:00.000Z",
        "quotes": [
            {
                "symbol": "AAPL",
                "price": "271.490",
                "previous_close": 270,
                "change": "1.490",
                "change_percent": "0.551852",
                "volume": 12345,
                "currency": "USD",
                "exchange": "NMS",
                "event_time": "2026-11-23T14:59:58.000Z",
                "revision": 2,
                "delay_minutes": 15,
                "is_open": True,
                "freshness": "fresh",
                "bar": {
                    "start": "2026-11-23T14:59:00.000Z",
                    "open": "271.49",
                    "high": "271.49",
                    "low": "0.00000001",
                    "close": "271.49",
                    "quotes": 2,
                },
            }
        ],
        "unknown": [],
    }


def test_what_is_not_known_is_absent() -> None:
    (quote,) = world_of("AAPL").get("/v1/latest").json()["quotes"]
    assert quote.keys() == {"symbol", "price", "event_time", "revision", "delay_minutes", "is_open", "freshness"}


@pytest.mark.parametrize("close", ["-0.37", "3", "999999999999.99999999999999999999999999", "0"])
def test_the_change_is_that_of_the_row(close: str) -> None:
    world = QueryWorld()
    symbol = make_symbol(price=Decimal("7.1"), previous_close=Decimal(close))
    world.commit(world.lane("AAPL"), LaneState(clock=NOW, symbols={"AAPL": symbol}))
    (found,) = world.get("/v1/latest").json()["quotes"]
    quote = Quote(
        symbol="AAPL",
        event_time=NOW,
        price=Decimal("7.1"),
        source="test",
        ingest_time=NOW,
        previous_close=Decimal(close),
    )
    percent = change_percent_of(quote)
    assert found.get("change_percent") == (None if percent is None else str(percent))


def test_the_symbols_of_the_request_are_sorted_and_those_that_are_not_stored_are_named() -> None:
    answer = world_of("AAPL", "MSFT", "BTC-USD").get("/v1/latest", symbols="MSFT,NONE,AAPL,MSFT").json()
    assert [quote["symbol"] for quote in answer["quotes"]] == ["AAPL", "MSFT"]
    assert answer["unknown"] == ["NONE"]


def test_only_the_lanes_of_the_symbols_are_read_in_one_request_and_kept_for_a_second() -> None:
    world = world_of("AAPL", "MSFT", "BTC-USD")
    world.get("/v1/latest", symbols="AAPL")
    assert world.states.reads == [[world.lane("AAPL")]]
    world.get("/v1/latest")
    assert len(world.states.reads) == 2
    assert world.lane("AAPL") not in world.states.reads[1]
    world.seconds = 0.9
    world.get("/v1/symbols")
    assert len(world.states.reads) == 2
    world.seconds = 1.0
    world.get("/v1/latest")
    assert world.states.reads[2:] == [["lane-00-of-02", "lane-01-of-02"]]


def test_a_new_quote_is_there_within_a_second() -> None:
    world = world_of("AAPL")
    before = world.get("/v1/latest").json()
    world.commit(world.lane("AAPL"), LaneState(clock=NOW + SECOND, symbols={"AAPL": make_symbol(price=Decimal(272))}))
    assert world.get("/v1/latest").json() == before
    world.seconds = 1.0
    after = world.get("/v1/latest").json()
    assert (after["as_of"], after["quotes"][0]["price"]) == ("2026-11-23T15:00:01.000Z", 272)


def test_a_symbol_without_a_price_is_unknown() -> None:
    world = QueryWorld()
    world.commit(world.lane("AAPL"), LaneState(clock=NOW, symbols={"AAPL": make_symbol(price=None)}))
    assert world.get("/v1/latest", symbols="AAPL").json()["unknown"] == ["AAPL"]
