"""TradingView's UDF protocol, walked as its library does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bars.resolutions import RESOLUTIONS, aggregated
from bars.sessions import Session
from lane_state import LaneState
from query_api.stored_bars import bar_of
from query_api.udf_sessions import ALWAYS_TRADING, trading_hours
from quotes import to_iso
from tests.fakes.query_ports import NOW, QueryWorld
from tests.support.query_bars import MINUTE, NEW_YORK, at, bar_row, minutes_from, sessions_of, world_of
from tests.support.query_states import alert_row, make_bar, make_symbol
from tests.support.recorded_bars import recorded_bars
from tests.support.udf_client import UdfClient, UdfError

WEEK = [
    ("2026-11-18", "2026-11-18 14:30", "2026-11-18 21:00"),
    ("2026-11-19", "2026-11-19 14:30", "2026-11-19 18:00"),
    ("2026-11-23", "2026-11-23 14:30", "2026-11-23 21:00"),
    ("2026-11-24", "2026-11-24 14:30", "2026-11-24 21:00"),
]
TRADED = [minute for _, opens, _ in WEEK[:3] for minute in minutes_from(at(opens), 29)]
ZONE = ZoneInfo("America/New_York")


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def client_of(world: QueryWorld) -> UdfClient:
    return UdfClient(lambda path, query: world.get(path, query="&".join(f"{a}={b}" for a, b in query.items())).json())


@pytest.fixture
def world() -> QueryWorld:
    """Three days of AAPL, of which the last minute is open, and a coin."""
    world = world_of(*TRADED)
    world.calendars.put(
        {"id": "symbols", "name": "BTC-USD", "calendar": "always", "timezone": "UTC"},
        sessions_of("XNYS", 2026, "America/New_York", WEEK),
    )
    bar = make_bar("AAPL", TRADED[-1] + MINUTE, close=Decimal("272.125"))
    symbol = make_symbol(
        bar=bar, price=Decimal("272.125"), previous_close=Decimal(270), volume=1_000, currency="USD", exchange="NMS"
    )
    world.commit(world.lane("AAPL"), LaneState(clock=NOW, complete_to=NOW, symbols={"AAPL": symbol}))
    coin = make_symbol(delay_minutes=15)
    world.commit(world.lane("BTC-USD"), LaneState(clock=NOW, complete_to=NOW, symbols={"BTC-USD": coin}))
    return world


def test_the_library_walks_from_the_configuration_to_the_first_bar(world: QueryWorld) -> None:
    client = client_of(world)
    assert client.config["supports_search"] is True
    assert client.search("aa") == ["AAPL"]
    assert client.resolve("AAPL")["session"] == "0930-1600"
    for resolution, name in (("1", "1m"), ("5", "5m"), ("15", "15m"), ("60", "1h"), ("1D", "1d")):
        bars = client.history("AAPL", resolution, seconds(NOW), count=7)
        ours = world.get("/v1/bars/AAPL", resolution=name, order="asc", limit=500).json()["bars"]
        assert [(bar.open, bar.close, bar.volume) for bar in bars] == [
            (bar["open"], bar["close"], bar["volume"]) for bar in ours
        ]
        if resolution != "1D":
            assert [bar.time for bar in bars] == [seconds(datetime.fromisoformat(bar["start"])) for bar in ours]
    assert client.quotes("AAPL", "TYPO")["AAPL"]["lp"] == "272.125"
    assert len(bars) == 3


def test_a_day_has_the_midnight_of_its_day_in_utc(world: QueryWorld) -> None:
    days = client_of(world).history("AAPL", "1D", seconds(NOW), count=2)
    assert [datetime.fromtimestamp(day.time, UTC).isoformat() for day in days] == [
        "2026-11-18T00:00:00+00:00",
        "2026-11-19T00:00:00+00:00",
        "2026-11-23T00:00:00+00:00",
    ]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-11-18 14:30", "2026-11-18 14:32", {"s": "ok", "count": 2}),
        ("2026-11-18 14:58", "2026-11-19 14:31", {"s": "ok", "count": 2}),
        ("2026-11-20 00:00", "2026-11-21 00:00", {"s": "no_data", "nextTime": seconds(at("2026-11-19 14:58"))}),
        ("2026-11-01 00:00", "2026-11-02 00:00", {"s": "no_data"}),
        ("2026-11-18 14:30", "2026-11-18 14:30", {"s": "no_data"}),
    ],
)
def test_a_range_without_a_count_has_its_bars_or_says_where_the_last_ones_are(
    world: QueryWorld, start: str, end: str, expected: dict[str, Any]
) -> None:
    answer = world.get(
        "/udf/history", query=f"symbol=AAPL&resolution=1&from={seconds(at(start))}&to={seconds(at(end))}"
    ).json()
    if "count" in expected:
        assert (answer["s"], len(answer["t"])) == (expected["s"], expected["count"])
    else:
        assert answer == expected


def test_a_count_is_met_with_bars_from_before_the_range(world: QueryWorld) -> None:
    saturday = seconds(at("2026-11-21 12:00"))
    query = f"symbol=AAPL&resolution=1&from={saturday - 60}&to={saturday}&countback=5"
    answer = world.get("/udf/history", query=query).json()
    assert [datetime.fromtimestamp(time, UTC).minute for time in answer["t"]] == [54, 55, 56, 57, 58]


def test_a_symbol_has_the_hours_of_its_exchange_and_the_digits_of_its_price(world: QueryWorld) -> None:
    found = client_of(world).resolve("AAPL")
    assert (found["session"], found["session_holidays"], found["corrections"]) == (
        "0930-1600",
        "20261120",
        "0930-1300:20261119",
    )
    assert (found["pricescale"], found["timezone"], found["currency_code"], found["exchange"]) == (
        1_000,
        "America/New_York",
        "USD",
        "NMS",
    )
    coin = client_of(world).resolve("BTC-USD")
    assert (coin["session"], coin["timezone"], coin["type"], coin["data_status"]) == (
        "24x7",
        "Etc/UTC",
        "crypto",
        "delayed_streaming",
    )


def test_hours_with_a_lunch_break_and_hours_over_midnight() -> None:
    tokyo = [
        Session("2026-11-24", at("2026-11-24 00:00"), at("2026-11-24 02:30")),
        Session("2026-11-24", at("2026-11-24 03:30"), at("2026-11-24 06:30")),
    ]
    assert trading_hours(tokyo, ZoneInfo("Asia/Tokyo")).session == "0900-1130,1230-1530"
    night = [Session("2026-11-30", at("2026-11-29 23:00"), at("2026-11-30 22:00"))]
    assert trading_hours(night, ZoneInfo("America/Chicago")).session == "1700-1600"
    assert trading_hours([], ZONE) == ALWAYS_TRADING


def test_quotes_have_the_change_and_say_which_symbol_is_unknown(world: QueryWorld) -> None:
    answer = world.get("/udf/quotes", symbols="AAPL,TYPO").json()
    known, unknown = answer["d"]
    assert known == {
        "s": "ok",
        "n": "AAPL",
        "v": {
            "short_name": "AAPL",
            "description": "AAPL",
            "exchange": "NMS",
            "lp": "272.125",
            "prev_close_price": 270,
            "ch": "2.125",
            "chp": "0.787037",
            "volume": 1_000,
        },
    }
    assert (unknown["s"], unknown["n"], unknown["v"]) == ("error", "TYPO", {})


def test_all_symbols_come_as_a_table(world: QueryWorld) -> None:
    table = world.get("/udf/symbol_info", group="all").json()
    assert table["symbol"] == ["AAPL", "BTC-USD"]
    assert table["session-regular"] == ["0930-1600", "24x7"]
    assert {len(column) for column in table.values() if isinstance(column, list)} == {2}


def test_marks_are_the_alerts_of_the_symbol(world: QueryWorld) -> None:
    world.alerts.put(
        alert_row(at("2026-11-19 15:00"), "a"),
        alert_row(at("2026-11-23 14:40"), "b", severity="critical"),
        alert_row(at("2026-11-23 14:45"), "c", symbol="MSFT"),
        alert_row(at("2026-11-23 14:50"), "d", symbol="lane-00-of-02", symbols=["AAPL", "MSFT"]),
        alert_row(at("2026-09-01 14:50"), "old"),
    )
    marks = client_of(world).marks("AAPL", seconds(at("2026-08-01 00:00")), seconds(NOW))
    assert [mark["id"] for mark in marks] == ["d", "b", "a"]
    assert [mark["color"] for mark in marks] == ["yellow", "red", "yellow"]
    assert marks[1]["time"] == seconds(at("2026-11-23 14:40"))
    axis = world.get("/udf/timescale_marks", query=f"symbol=AAPL&from=0&to={seconds(NOW)}&resolution=1D").json()
    assert [(mark["id"], mark["label"]) for mark in axis] == [("b", "P")]


def test_openbb_workspace_finds_its_widget_beside_the_protocol(world: QueryWorld) -> None:
    (widget,) = world.get("/widgets.json").json().values()
    assert (widget["type"], widget["data"]["defaultSymbol"]) == ("advanced_charting", "AAPL")
    assert world.get(f"{widget['endpoint']}/config").status == 200


def test_the_time_is_that_of_the_server(world: QueryWorld) -> None:
    answer = world.get("/udf/time")
    assert (answer.body.decode(), answer.headers["content-type"]) == (str(seconds(NOW)), "text/plain")


@pytest.mark.parametrize(
    ("path", "query", "detail"),
    [
        ("symbols", "symbol=TYPO", "Nothing is stored of the symbol 'TYPO'"),
        ("symbols", "", "symbol: it is missing"),
        ("history", "symbol=TYPO&resolution=1&from=0&to=1", "Nothing is stored"),
        ("history", "symbol=AAPL&resolution=7&from=0&to=1", "resolution: it is not one of 1, 5, 15, 60, 1D, D"),
        ("history", "symbol=AAPL&resolution=1&from=2&to=1", "from: it is after `to`"),
        ("history", "symbol=AAPL&resolution=1&to=1&countback=0", "countback: it is not a number of bars"),
        ("quotes", "", "symbols: it is missing"),
        ("marks", "symbol=AAPL&from=1", "to: it is missing"),
    ],
)
def test_an_error_has_what_the_library_looks_for(world: QueryWorld, path: str, query: str, detail: str) -> None:
    answer = world.get(f"/udf/{path}", query=query)
    assert 400 <= answer.status < 500
    problem = answer.json()
    assert (problem["s"], problem["errmsg"]) == ("error", problem["detail"])
    assert detail in problem["errmsg"]


def test_a_symbol_that_is_unknown_is_an_error_for_the_library(world: QueryWorld) -> None:
    with pytest.raises(UdfError, match="Nothing is stored"):
        client_of(world).resolve("TYPO")


def test_only_closed_minutes_of_some_age_may_be_kept(world: QueryWorld) -> None:
    old = f"symbol=AAPL&resolution=1&to={seconds(at('2026-11-20 00:00'))}&countback=5"
    new = f"symbol=AAPL&resolution=1&to={seconds(NOW)}&countback=5"
    caches = [world.get("/udf/history", query=query).headers["cache-control"] for query in (old, new)]
    assert caches == ["private, max-age=60", "private, no-cache"]
    hours = f"symbol=AAPL&resolution=60&to={seconds(NOW - 15 * MINUTE)}&countback=5"  # the last of them is not over
    assert world.get("/udf/history", query=hours).headers["cache-control"] == "private, no-cache"


def test_a_recorded_week_comes_back_bar_by_bar(recordings: Path) -> None:
    rows = sorted(recorded_bars(recordings / "minute" / "eqker", "SPY"))
    world = QueryWorld()
    world.calendars.put({**NEW_YORK, "name": "SPY"})
    minutes = []
    for (_, minute), (open_, high, low, close, volume) in rows:
        values = {"open": open_, "high": high, "low": low, "close": close, "volume": int(volume)}
        minutes.append(bar_row("SPY", datetime.fromisoformat(minute), **values))
    world.bars.put(*minutes)
    client, last = client_of(world), datetime.fromisoformat(rows[-1][0][1])
    by_minute = client.history("SPY", "1", seconds(last + timedelta(days=2)), count=300)
    assert [to_iso(datetime.fromtimestamp(bar.time, UTC)) for bar in by_minute] == [minute for (_, minute), _ in rows]
    assert [Decimal(bar.close) for bar in by_minute] == [values[3] for _, values in rows]
    page = world.bars.read("SPY", "0", ":", newest_first=False, limit=10_000).items
    days = list(aggregated(map(bar_of, page), RESOLUTIONS["1d"], ZONE))
    by_day = client.history("SPY", "1D", seconds(last + timedelta(days=2)), count=3)
    assert [(Decimal(bar.open), Decimal(bar.high), Decimal(bar.low), bar.volume) for bar in by_day] == [
        (day.open, day.high, day.low, day.volume) for day in days
    ]
    assert len(days) == 5
