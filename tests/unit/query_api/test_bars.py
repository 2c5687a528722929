"""`/v1/bars`: bars of every resolution, the open one, pages, indicators and CSV."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

import query_api.minutes
from indicators import NAMES, Indicators, significant
from lane_state import LaneState, Publication, Split
from tests.fakes.query_ports import NOW, QueryWorld
from tests.support.query_bars import MINUTE, at, bar_row, minutes_from, world_of
from tests.support.query_states import make_bar, make_symbol

OPEN = at("2026-11-23 14:30")


def starts(answer: Any) -> list[str]:
    return [bar["start"][11:16] for bar in answer.json()["bars"]]


def all_pages(world: QueryWorld, **parameters: Any) -> list[dict[str, Any]]:
    """The bars of every page, in the order of their arrival."""
    bars, cursor = [], None
    for _ in range(1_000):
        page = world.get("/v1/bars/AAPL", **parameters, **({"cursor": cursor} if cursor else {})).json()
        bars += page["bars"]
        cursor = page["next"]
        if cursor is None:
            return bars
    raise AssertionError("the pages have no end")


def test_a_minute_has_the_digits_of_its_row() -> None:
    world = world_of()
    prices = {"open": Decimal("1.10"), "high": Decimal("1E+2"), "low": Decimal("-37.63"), "close": Decimal("0.000001")}
    world.bars.put({**bar_row("AAPL", OPEN), **prices, "sma_5": Decimal("1.5"), "rsi_14": Decimal(50)})
    assert world.get("/v1/bars/AAPL").body.decode() == (
        '{"symbol":"AAPL","resolution":"1m","timezone":"America/New_York","bars":[{"start":"2026-11-23T14:30:00.000Z",'
        '"open":1.10,"high":1E+2,"low":-37.63,"close":0.000001,"volume":7,"quotes":2,"provenance":"stream"}],"next":null}'
    )
    with_indicators = world.get("/v1/bars/AAPL", indicators="rsi_14,sma_5").json()
    assert with_indicators["bars"][0]["indicators"] == {"sma_5": "1.5", "rsi_14": 50}
    assert world.get("/v1/bars/AAPL", indicators="macd").json()["bars"][0]["indicators"] == {}


def test_minutes_come_newest_first_unless_the_order_says_otherwise() -> None:
    world = world_of(*minutes_from(OPEN, 3))
    assert starts(world.get("/v1/bars/AAPL")) == ["14:32", "14:31", "14:30"]
    assert starts(world.get("/v1/bars/AAPL", order="asc")) == ["14:30", "14:31", "14:32"]


def test_a_range_says_which_bars_begin_in_it_and_each_is_whole() -> None:
    world = world_of(*minutes_from(OPEN, 60))
    answer = world.get(
        "/v1/bars/AAPL", resolution="15m", start="2026-11-23T14:31:00Z", end="2026-11-23T15:00:01Z", order="asc"
    ).json()
    assert [(bar["start"][11:16], bar["quotes"]) for bar in answer["bars"]] == [("14:45", 30), ("15:00", 30)]


def test_a_coarser_bar_is_made_of_its_minutes() -> None:
    world = world_of()
    for number, (low, high) in enumerate([("1.0", "3"), ("0.5", "2"), ("0.75", "4.00")]):
        prices = {"open": Decimal(low), "low": Decimal(low), "high": Decimal(high), "close": Decimal(high)}
        world.bars.put({**bar_row("AAPL", OPEN + number * MINUTE), **prices})
    (bar,) = world.get("/v1/bars/AAPL", resolution="1d").json()["bars"]
    assert bar == {
        "start": "2026-11-23T05:00:00.000Z",
        "day": "2026-11-23",
        "open": "1.0",
        "high": "4.00",
        "low": "0.5",
        "close": "4.00",
        "volume": 21,
        "quotes": 6,
        "provenance": "stream",
    }


def test_gaps_stay_gaps() -> None:
    world = world_of(OPEN, OPEN + 20 * MINUTE)
    assert starts(world.get("/v1/bars/AAPL", resolution="5m", order="asc")) == ["14:30", "14:50"]


class TestTheOpenMinute:
    def test_comes_from_the_state_of_the_lane(self) -> None:
        world = world_of(OPEN)
        bar = make_bar("AAPL", OPEN + MINUTE, close=Decimal("272.5"))
        state = LaneState(complete_to=OPEN + MINUTE, symbols={"AAPL": make_symbol(bar=bar, currency="USD")})
        world.commit(world.lane("AAPL"), state)
        answer = world.get("/v1/bars/AAPL").json()
        assert answer["currency"] == "USD"
        newest, closed = answer["bars"]
        assert (newest["start"], newest["close"], newest["is_open"]) == ("2026-11-23T14:31:00.000Z", "272.5", True)
        assert "is_open" not in closed

    def test_is_closed_once_it_is_stored(self) -> None:
        world = world_of(OPEN, OPEN + MINUTE)
        bar = make_bar("AAPL", OPEN + MINUTE, quotes=1)
        world.commit(world.lane("AAPL"), LaneState(symbols={"AAPL": make_symbol(bar=bar)}))
        newest = world.get("/v1/bars/AAPL").json()["bars"][0]
        assert (newest["quotes"], "is_open" in newest) == (2, False)

    def test_leaves_no_hole_while_the_minute_before_it_is_published(self) -> None:
        world = world_of(OPEN)
        closed = make_bar("AAPL", OPEN + MINUTE, indicators={"sma_5": 1.25})
        state = LaneState(
            symbols={"AAPL": make_symbol(bar=make_bar("AAPL", OPEN + 2 * MINUTE))},
            pending=(Publication(1, bar=make_bar("MSFT", OPEN)), Publication(2, bar=closed)),
        )
        world.commit(world.lane("AAPL"), state)
        for order in ("asc", "desc"):
            bars = all_pages(world, order=order, limit=1, indicators="all")
            assert sorted(bar["start"][11:16] for bar in bars) == ["14:30", "14:31", "14:32"]
            assert bars[1]["indicators"] == {"sma_5": "1.25"}

    @pytest.mark.parametrize(("complete", "is_open"), [(89, True), (90, False)])
    def test_a_coarser_bar_is_open_until_the_lane_is_complete(self, complete: int, *, is_open: bool) -> None:
        world = world_of(*minutes_from(OPEN, 40))
        state = LaneState(complete_to=OPEN + complete * MINUTE, symbols={"AAPL": make_symbol()})
        world.commit(world.lane("AAPL"), state)
        newest, before = world.get("/v1/bars/AAPL", resolution="1h").json()["bars"]
        assert newest["start"] == "2026-11-23T15:00:00.000Z"
        assert newest.get("is_open", False) is is_open
        assert "is_open" not in before


class TestPages:
    @pytest.mark.parametrize("order", ["asc", "desc"])
    @pytest.mark.parametrize("resolution", ["1m", "5m", "15m", "1h", "1d"])
    def test_have_each_bar_once(self, resolution: str, order: str) -> None:
        world = world_of(*minutes_from(OPEN, 90), *minutes_from(OPEN + timedelta(days=1), 33))
        whole = world.get("/v1/bars/AAPL", resolution=resolution, order=order).json()
        assert whole["next"] is None
        for limit in (1, 2, 7):
            assert all_pages(world, resolution=resolution, order=order, limit=limit) == whole["bars"]

    def test_survive_new_minutes(self) -> None:
        world = world_of(*minutes_from(OPEN, 10))
        page = world.get("/v1/bars/AAPL", limit=5).json()
        world.bars.put(*(bar_row("AAPL", minute) for minute in minutes_from(OPEN + 10 * MINUTE, 5)))
        rest = world.get("/v1/bars/AAPL", limit=5, cursor=page["next"])
        assert starts(rest) == ["14:34", "14:33", "14:32", "14:31", "14:30"]

    def test_read_a_bounded_number_of_minutes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(query_api.minutes, "MAX_MINUTES", 4_500)
        world = world_of(*minutes_from(at("2026-11-02 05:00"), 1_440 * 5))
        world.bars.page_items = 1_700
        page = world.get("/v1/bars/AAPL", resolution="1d", limit=100).json()
        assert page["next"] is not None
        assert len(page["bars"]) == 3
        bars = all_pages(world, resolution="1d", limit=100)
        assert sum(bar["quotes"] for bar in bars) == 2 * 1_440 * 5
        assert len({bar["day"] for bar in bars}) == len(bars)

    def test_a_cursor_belongs_to_its_query(self) -> None:
        world = world_of(*minutes_from(OPEN, 90))
        cursor = world.get("/v1/bars/AAPL", resolution="5m", limit=2).json()["next"]
        answer = world.get("/v1/bars/AAPL", resolution="15m", limit=2, cursor=cursor)
        assert (answer.status, answer.json()["parameter"]) == (400, "cursor")


class TestIndicators:
    def test_of_coarser_bars_are_those_of_the_bars_before(self) -> None:
        world = world_of()
        closes = [Decimal(100 + number % 13) for number in range(300)]
        for number, close in enumerate(closes):
            world.bars.put({**bar_row("AAPL", OPEN + number * 5 * MINUTE), "close": close})
        state = Indicators()
        for number, close in enumerate(closes[90:]):  # 200 before the first bar of the page
            state = state.advanced(OPEN + (number + 90) * 5 * MINUTE, float(close), 7)
        newest = world.get("/v1/bars/AAPL", resolution="5m", limit=10, indicators="all").json()["bars"][0]
        expected = {name: significant(value) for name, value in state.values().items()}
        assert {name: Decimal(value) for name, value in newest["indicators"].items()} == expected
        assert list(newest["indicators"]) == [name for name in NAMES if name in expected]

    def test_go_on_where_a_page_ends_because_it_has_read_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(query_api.minutes, "MAX_MINUTES", 1_500)
        world = world_of(*minutes_from(OPEN, 6_000))
        bars = all_pages(world, resolution="15m", indicators="sma_20", limit=400)
        assert ["sma_20" in bar["indicators"] for bar in bars] == [True] * 381 + [False] * 19

    def test_an_open_bar_has_none(self) -> None:
        world = world_of(*(OPEN + number * 5 * MINUTE for number in range(60)))
        bar = make_bar("AAPL", OPEN + 300 * MINUTE)
        world.commit(world.lane("AAPL"), LaneState(symbols={"AAPL": make_symbol(bar=bar)}))
        newest, before = world.get("/v1/bars/AAPL", resolution="5m", limit=2, indicators="sma_5").json()["bars"]
        assert (newest["indicators"], newest["is_open"]) == ({}, True)
        assert before["indicators"].keys() == {"sma_5"}

    def test_go_over_a_split(self) -> None:
        world = world_of()
        for number in range(40):
            close = Decimal(400 if number < 30 else 100)
            world.bars.put({**bar_row("AAPL", OPEN + number * 5 * MINUTE), "close": close})
        split = Split(OPEN + 150 * MINUTE, 4, 1, is_declared=True, is_applied=True)
        world.commit(world.lane("AAPL"), LaneState(symbols={"AAPL": make_symbol(split=split)}))
        newest = world.get("/v1/bars/AAPL", resolution="5m", limit=3, indicators="sma_20").json()["bars"][0]
        assert newest["indicators"] == {"sma_20": 100}

    def test_a_name_that_is_unknown_is_refused_with_those_that_are_known(self) -> None:
        answer = world_of(OPEN).get("/v1/bars/AAPL", indicators="sma_5,sma_7")
        assert (answer.status, answer.json()["parameter"]) == (400, "indicators")
        assert "'sma_7' is not an indicator" in answer.json()["detail"]
        assert "bollinger_upper" in answer.json()["detail"]


def test_csv_has_the_same_bars() -> None:
    world = world_of(*minutes_from(OPEN, 10))
    answer = world.get("/v1/bars/AAPL", resolution="5m", limit=1, format="csv", indicators="sma_5")
    assert answer.body.decode() == (
        "start,open,high,low,close,volume,quotes,provenance,is_open,sma_5\r\n"
        "2026-11-23T14:35:00.000Z,271.49,271.49,271.49,271.49,35,10,stream,,\r\n"
    )
    assert answer.headers["link"].endswith('>; rel="next"')
    day = world.get("/v1/bars/AAPL", resolution="1d", format="csv").body.decode()
    assert day.startswith("start,day,open")


def test_a_symbol_without_anything_is_unknown_and_one_without_bars_has_none() -> None:
    world = world_of()
    assert world.get("/v1/bars/AAPL").json()["bars"] == []
    answer = world.get("/v1/bars/TYPO")
    assert (answer.status, answer.json()["type"]) == (404, "urn:stockstream:symbol-unknown")


def test_a_symbol_that_has_only_bars_has_days_of_utc() -> None:
    world = QueryWorld()
    world.bars.put(bar_row("OLD", OPEN))
    answer = world.get("/v1/bars/OLD", resolution="1d").json()
    assert (answer["timezone"], answer["bars"][0]["start"]) == ("UTC", "2026-11-23T00:00:00.000Z")


@pytest.mark.parametrize(
    ("parameters", "is_settled"),
    [
        ({}, False),
        ({"end": "2026-11-23T14:40:00Z"}, True),
        ({"end": "2026-11-23T14:55:00Z"}, False),
        ({"order": "asc", "limit": 5}, True),
        ({"order": "asc"}, False),
        ({"end": "2026-11-23T14:40:00Z", "resolution": "1h"}, False),
    ],
)
def test_only_closed_minutes_of_some_age_may_be_kept(parameters: dict[str, Any], *, is_settled: bool) -> None:
    world = world_of(*minutes_from(OPEN, 30))
    world.commit(world.lane("AAPL"), LaneState(complete_to=NOW, symbols={"AAPL": make_symbol()}))
    cache = world.get("/v1/bars/AAPL", **parameters).headers["cache-control"]
    assert cache == ("private, max-age=60" if is_settled else "private, no-cache")
