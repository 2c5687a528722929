"""`/v1/coverage`: what each day has, what the source has not either, and what is missing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from bars.coverage import WITHOUT_TRADES, spans_text
from bars.keys import asked_key
from bars.resolutions import Span
from lane_state import LaneState
from tests.fakes.query_ports import QueryWorld
from tests.support.query_bars import MINUTE, at, bar_row, minutes_from, sessions_of, world_of
from tests.support.query_states import make_bar, make_symbol

WEEK = [
    ("2026-11-25", "2026-11-25 14:30", "2026-11-25 21:00"),
    # Thanksgiving, and a half day
    ("2026-11-27", "2026-11-27 14:30", "2026-11-27 18:00"),
    ("2026-11-30", "2026-11-30 14:30", "2026-11-30 21:00"),
]
HALF_DAY = minutes_from(at("2026-11-27 14:30"), 210)
SATURDAY = at("2026-11-28 12:00")


def world_on(now: datetime, *minutes: datetime, complete_to: datetime | None = None) -> QueryWorld:
    """New York's week at a moment, with a lane that is complete up to then, or to another moment."""
    world = world_of(*minutes)
    world.now = now
    world.calendars.put(sessions_of("XNYS", 2026, "America/New_York", WEEK))
    complete_to = complete_to or now
    world.commit(world.lane("AAPL"), LaneState(clock=now, complete_to=complete_to, symbols={"AAPL": make_symbol()}))
    return world


def days(world: QueryWorld, **parameters: Any) -> list[tuple[str, int, int, int]]:
    answer = world.get("/v1/coverage/AAPL", **parameters).json()
    return [(each["day"], each["expected"], each["stored"], each["missing"]) for each in answer["days"]]


def test_a_day_is_counted_by_provenance_and_adds_up() -> None:
    world = world_on(SATURDAY, *HALF_DAY[:150])
    world.bars.put(
        *(bar_row("AAPL", minute, quotes=0, provenance="backfill") for minute in HALF_DAY[150:180]),
        *(bar_row("AAPL", minute, provenance="rebuild") for minute in HALF_DAY[140:145]),
    )
    asked = Span(HALF_DAY[170], HALF_DAY[190])
    world.bars.put(
        {
            "symbol": "AAPL",
            "key": asked_key("1m", at("2026-11-27 05:00")),
            WITHOUT_TRADES: spans_text([asked]),
        }
    )
    assert world.get("/v1/coverage/AAPL", start="2026-11-26").json() == {
        "symbol": "AAPL",
        "calendar": "XNYS",
        "timezone": "America/New_York",
        "days": [
            {
                "day": "2026-11-27",
                "opens": "2026-11-27T14:30:00.000Z",
                "closes": "2026-11-27T18:00:00.000Z",
                "expected": 210,
                "stored": 180,
                "stream": 145,
                "backfill": 30,
                "rebuild": 5,
                "without_trades": 10,
                "missing": 20,
            }
        ],
        "known_from": "2026-01-01T05:00:00.000Z",
        "known_to": "2027-01-01T05:00:00.000Z",
    }


def test_what_was_asked_for_is_read_to_its_last_page() -> None:
    world = world_on(at("2026-12-01 12:00"))
    world.bars.page_items = 2
    for _, opens, closes in WEEK:
        spans = spans_text([Span(at(opens), at(closes))])
        world.bars.put({"symbol": "AAPL", "key": asked_key("1m", at(opens)), WITHOUT_TRADES: spans})
    answer = world.get("/v1/coverage/AAPL").json()
    assert [(each["without_trades"], each["missing"]) for each in answer["days"]] == [(390, 0), (210, 0), (390, 0)]


def test_the_last_thirty_days_are_the_default() -> None:
    assert days(world_on(SATURDAY)) == [("2026-11-25", 390, 0, 390), ("2026-11-27", 210, 0, 210)]


def test_a_day_that_the_range_cuts_is_counted_as_a_whole() -> None:
    world = world_on(SATURDAY, *HALF_DAY)
    assert days(world, start="2026-11-27T17:59:00Z", end="2026-11-27T18:30:00Z") == [("2026-11-27", 210, 210, 0)]
    assert days(world, start="2026-11-27T18:00:00Z", end="2026-11-27T18:30:00Z") == []


class TestThePresentDay:
    NOW = at("2026-11-27 15:30")

    def test_is_counted_as_far_as_the_lane_is_complete(self) -> None:
        world = world_on(self.NOW, *HALF_DAY[:45], complete_to=self.NOW - 15 * MINUTE)
        assert days(world, start="2026-11-27") == [("2026-11-27", 45, 45, 0)]

    def test_has_minutes_that_are_not_written_yet(self) -> None:
        world = world_on(self.NOW, *HALF_DAY[:59])
        state = make_symbol(bar=make_bar("AAPL", HALF_DAY[59]))
        world.commit(world.lane("AAPL"), LaneState(clock=self.NOW, complete_to=self.NOW, symbols={"AAPL": state}))
        assert days(world, start="2026-11-27") == [("2026-11-27", 60, 60, 0)]

    def test_misses_the_minutes_since_the_feed_stands_still(self) -> None:
        late = at("2026-11-27 17:00")
        world = world_on(late, *HALF_DAY[:45], complete_to=self.NOW - 15 * MINUTE)
        assert days(world, start="2026-11-27") == [("2026-11-27", 150, 45, 105)]
        assert days(world_on(SATURDAY, complete_to=at("2026-11-24 21:00"))) == [
            ("2026-11-25", 390, 0, 390),
            ("2026-11-27", 210, 0, 210),
        ]


def test_a_recording_ends_with_its_data() -> None:
    world = world_on(at("2027-06-01 12:00"), *HALF_DAY[:10], complete_to=HALF_DAY[10])
    assert days(world) == [("2026-11-25", 390, 0, 390), ("2026-11-27", 10, 10, 0)]


def test_what_was_asked_for_on_the_evening_before_counts() -> None:
    world = world_of()
    world.now = at("2026-11-25 12:00")
    world.calendars.put(
        {"id": "symbols", "name": "GC=F", "calendar": "CMES", "timezone": "America/New_York"},
        sessions_of("CMES", 2026, "America/New_York", [("2026-11-24", "2026-11-23 23:00", "2026-11-24 22:00")]),
    )
    opens = at("2026-11-23 23:00")
    spans = spans_text([Span(opens, opens + 90 * MINUTE)])
    world.bars.put({"symbol": "GC=F", "key": asked_key("1m", opens), WITHOUT_TRADES: spans})
    (day,) = world.get("/v1/coverage/GC=F", start="2026-11-24T12:00:00Z").json()["days"]
    assert (day["expected"], day["without_trades"], day["missing"]) == (23 * 60, 90, 23 * 60 - 90)


@pytest.mark.parametrize("page_items", [700, 1_000_000])
def test_days_around_the_clock_are_read_to_their_end(page_items: int) -> None:
    world = world_of(*minutes_from(at("2026-10-30 04:00"), 4 * 1_440), symbol="BTC-USD", calendar="always")
    world.now, world.bars.page_items = at("2026-11-20 12:00"), page_items
    answer = world.get("/v1/coverage/BTC-USD", start="2026-10-31T12:00:00Z", end="2026-11-02T12:00:00Z").json()
    assert [(day["day"], day["expected"], day["stored"]) for day in answer["days"]] == [
        ("2026-10-31", 1_440, 1_440),
        ("2026-11-01", 1_500, 1_500),
        ("2026-11-02", 1_440, 1_320 + 60),
    ]


@pytest.mark.parametrize(
    ("parameters", "status", "kind"),
    [
        ({"start": "2026-09-01", "end": "2026-11-28"}, 400, "parameter-wrong"),
        ({"days": "3"}, 400, "parameter-unknown"),
        ({"start": "2019-02-01", "end": "2019-02-02"}, 404, "sessions-unknown"),
    ],
)
def test_other_requests_are_refused(parameters: dict[str, str], status: int, kind: str) -> None:
    answer = world_on(SATURDAY).get("/v1/coverage/AAPL", **parameters)
    assert (answer.status, answer.json()["type"]) == (status, f"urn:stockstream:{kind}")


def test_a_symbol_without_a_calendar_has_no_days_that_are_known() -> None:
    world = QueryWorld()
    world.commit(world.lane("OLD"), LaneState(symbols={"OLD": make_symbol()}))
    assert world.get("/v1/coverage/OLD").json()["type"] == "urn:stockstream:sessions-unknown"
    assert world.get("/v1/coverage/TYPO").json()["type"] == "urn:stockstream:symbol-unknown"


def test_nobody_knows_what_to_expect_of_an_exchange_that_no_calendar_knows() -> None:
    world = world_of(*minutes_from(at("2026-11-27 06:00"), 300), symbol="EMAAR.AE", calendar="unknown")
    answer = world.get("/v1/coverage/EMAAR.AE").json()
    assert answer["type"] == "urn:stockstream:sessions-unknown"
    assert answer["detail"] == ("No calendar knows when EMAAR.AE trades, so nobody can say which minutes are missing.")


def test_a_range_in_the_future_has_no_day() -> None:
    world = world_on(SATURDAY)
    assert days(world, start="2026-11-30", end="2026-12-01") == []
    assert days(world, start=f"{SATURDAY + timedelta(days=1):%Y-%m-%d}") == []
