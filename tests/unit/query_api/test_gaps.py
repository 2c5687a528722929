"""`/v1/sessions` and `/v1/gaps`: half days, holidays, breaks, night sessions, and what trades around the clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from lane_state import LaneState
from tests.fakes.query_ports import NOW, QueryWorld
from tests.support.query_bars import MINUTE, at, bar_row, minutes_from, sessions_of, world_of
from tests.support.query_states import make_bar, make_symbol

WEEK = [
    ("2026-11-23", "2026-11-23 14:30", "2026-11-23 21:00"),
    ("2026-11-24", "2026-11-24 14:30", "2026-11-24 21:00"),
    ("2026-11-25", "2026-11-25 14:30", "2026-11-25 21:00"),
    # Thanksgiving, and a half day
    ("2026-11-27", "2026-11-27 14:30", "2026-11-27 18:00"),
    ("2026-11-30", "2026-11-30 14:30", "2026-11-30 21:00"),
]
TOKYO = [
    ("2026-11-24", "2026-11-24 00:00", "2026-11-24 02:30"),
    ("2026-11-24", "2026-11-24 03:30", "2026-11-24 06:30"),
]
SATURDAY = at("2026-11-28 12:00")
EARLIER = at("2026-11-02 15:00")


def world_on(complete_to: datetime, *minutes: datetime) -> QueryWorld:
    """New York's week, with a lane that is complete to a moment, and a bar of weeks before."""
    world = world_of(EARLIER, *minutes)
    world.calendars.put(sessions_of("XNYS", 2026, "America/New_York", WEEK))
    state = LaneState(clock=complete_to, complete_to=complete_to, symbols={"AAPL": make_symbol()})
    world.commit(world.lane("AAPL"), state)
    return world


def gaps(answer: Any) -> list[tuple[str, str, int]]:
    return [(gap["start"][5:16], gap["end"][5:16], gap["minutes"]) for gap in answer.json()["gaps"]]


def counts(answer: Any) -> tuple[int, int]:
    return answer.json()["expected_minutes"], answer.json()["stored_minutes"]


class TestSessions:
    def test_of_a_week_with_a_holiday_and_a_half_day(self) -> None:
        answer = world_on(SATURDAY).get("/v1/sessions/AAPL", start="2026-11-25", end="2026-11-30").json()
        assert answer == {
            "symbol": "AAPL",
            "calendar": "XNYS",
            "timezone": "America/New_York",
            "sessions": [
                {"day": "2026-11-25", "opens": "2026-11-25T14:30:00.000Z", "closes": "2026-11-25T21:00:00.000Z"},
                {"day": "2026-11-27", "opens": "2026-11-27T14:30:00.000Z", "closes": "2026-11-27T18:00:00.000Z"},
            ],
            "known_from": "2026-01-01T05:00:00.000Z",
            "known_to": "2027-01-01T05:00:00.000Z",
        }

    def test_are_those_around_the_newest_data_without_a_range(self) -> None:
        days = [each["day"] for each in world_on(SATURDAY).get("/v1/sessions/AAPL").json()["sessions"]]
        assert days == [day for day, *_ in WEEK]

    def test_overlap_the_range_even_if_they_began_before_it(self) -> None:
        answer = world_on(SATURDAY).get("/v1/sessions/AAPL", start="2026-11-27T17:59:00Z", end="2026-11-28").json()
        assert [each["day"] for each in answer["sessions"]] == ["2026-11-27"]

    def test_go_over_the_turn_of_the_year(self) -> None:
        world = world_on(SATURDAY)
        world.calendars.put(sessions_of("XNYS", 2027, "UTC", [("2027-01-04", "2027-01-04 14:30", "2027-01-04 21:00")]))
        answer = world.get("/v1/sessions/AAPL", start="2026-11-27", end="2027-01-05").json()
        assert [each["day"] for each in answer["sessions"]] == ["2026-11-27", "2026-11-30", "2027-01-04"]
        assert answer["known_to"] == "2028-01-01T05:00:00.000Z"

    def test_around_the_clock_are_days_of_the_time_zone(self) -> None:
        world = world_of(symbol="BTC-USD", calendar="always", timezone="America/New_York")
        answer = world.get("/v1/sessions/BTC-USD", start="2026-10-31T12:00:00Z", end="2026-11-02T12:00:00Z").json()
        spans = [(each["day"], each["opens"][:13], each["closes"][:13]) for each in answer["sessions"]]
        assert spans == [
            ("2026-10-31", "2026-10-31T04", "2026-11-01T04"),
            ("2026-11-01", "2026-11-01T04", "2026-11-02T05"),  # the clock goes back: 25 hours
            ("2026-11-02", "2026-11-02T05", "2026-11-03T05"),
        ]

    def test_of_a_calendar_that_is_not_stored_are_unknown(self) -> None:
        answer = world_of().get("/v1/sessions/AAPL").json()
        assert (answer["sessions"], "known_from" in answer) == ([], False)

    @pytest.mark.parametrize("path", ["/v1/sessions", "/v1/gaps"])
    def test_of_a_symbol_that_is_not_stored_are_a_404(self, path: str) -> None:
        answer = world_of().get(f"{path}/TYPO")
        assert (answer.status, answer.json()["type"]) == (404, "urn:stockstream:symbol-unknown")

    @pytest.mark.parametrize(("path", "days"), [("/v1/sessions", 400), ("/v1/gaps", 7)])
    def test_of_too_long_a_range_are_refused(self, path: str, days: int) -> None:
        start = at("2026-11-23 00:00")
        end = (start + timedelta(days=days)).isoformat().replace("+00:00", "Z")
        late = (start + timedelta(days=days, minutes=1)).isoformat().replace("+00:00", "Z")
        world = world_on(SATURDAY)
        assert world.get(f"{path}/AAPL", start="2026-11-23", end=end).status == 200
        answer = world.get(f"{path}/AAPL", start="2026-11-23", end=late)
        assert (answer.status, answer.json()["parameter"]) == (400, "start")

    @pytest.mark.parametrize("path", ["/v1/sessions/AAPL", "/v1/gaps/AAPL", "/v1/bars/AAPL"])
    @pytest.mark.parametrize(
        "parameters", [{"start": "253402300799"}, {"end": "253402300799"}, {"start": "9999-12-30"}, {"end": "1"}]
    )
    def test_at_the_ends_of_time_are_no_bug(self, path: str, parameters: dict[str, Any]) -> None:
        for resolution in ["1m", "1d"] if "bars" in path else [""]:
            more: dict[str, Any] = {"resolution": resolution} if resolution else {}
            assert world_on(SATURDAY).get(path, **parameters, **more).status in (200, 400, 404)


class TestGaps:
    def test_are_cut_out_of_the_last_session(self) -> None:
        half_day = minutes_from(at("2026-11-27 14:30"), 210)
        missing = {0, 10, 11, 12, 100, 208, 209}
        world = world_on(SATURDAY, *(minute for number, minute in enumerate(half_day) if number not in missing))
        answer = world.get("/v1/gaps/AAPL")
        assert (answer.json()["start"], answer.json()["end"]) == (
            "2026-11-27T14:30:00.000Z",
            "2026-11-27T18:00:00.000Z",
        )
        assert counts(answer) == (210, 203)
        assert gaps(answer) == [
            ("11-27T14:30", "11-27T14:31", 1),
            ("11-27T14:40", "11-27T14:43", 3),
            ("11-27T16:10", "11-27T16:11", 1),
            ("11-27T17:58", "11-27T18:00", 2),
        ]

    def test_are_none_on_holidays_and_nights(self) -> None:
        sessions = [(at(opens), at(closes)) for _, opens, closes in WEEK[:4]]
        minutes = [minute for a, b in sessions for minute in minutes_from(a, (b - a) // MINUTE)]
        answer = world_on(SATURDAY, *minutes).get("/v1/gaps/AAPL", start="2026-11-23", end="2026-11-30")
        assert (counts(answer), gaps(answer)) == ((3 * 390 + 210, 3 * 390 + 210), [])

    def test_end_where_the_lane_is_complete(self) -> None:
        complete_to = at("2026-11-27 15:00") + timedelta(seconds=30)
        world = world_on(complete_to, *minutes_from(at("2026-11-27 14:30"), 25))
        answer = world.get("/v1/gaps/AAPL", start="2026-11-27", end="2026-11-28")
        assert answer.json()["end"] == "2026-11-27T15:00:00.000Z"
        assert (counts(answer), gaps(answer)) == ((30, 25), [("11-27T14:55", "11-27T15:00", 5)])
        assert gaps(world.get("/v1/gaps/AAPL")) == [("11-27T14:55", "11-27T15:00", 5)]  # the current session

    def test_of_a_time_that_is_still_to_come_are_none(self) -> None:
        answer = world_on(SATURDAY).get("/v1/gaps/AAPL", start="2026-11-30", end="2026-12-01")
        assert (counts(answer), gaps(answer), answer.json()["end"]) == ((0, 0), [], "2026-11-30T00:00:00.000Z")

    def test_end_with_their_session(self) -> None:
        answer = world_on(SATURDAY).get("/v1/gaps/AAPL", start="2026-11-25T20:59:00Z", end="2026-11-27T14:31:00Z")
        assert gaps(answer) == [("11-25T20:59", "11-25T21:00", 1), ("11-27T14:30", "11-27T14:31", 1)]

    def test_of_a_day_with_a_lunch_break(self) -> None:
        world = world_on(at("2026-11-24 12:00"))
        world.calendars.put({"id": "symbols", "name": "7203.T", "calendar": "XTKS", "timezone": "Asia/Tokyo"})
        world.calendars.put(sessions_of("XTKS", 2026, "Asia/Tokyo", TOKYO))
        world.commit(
            world.lane("7203.T"), LaneState(complete_to=at("2026-11-24 12:00"), symbols={"7203.T": make_symbol()})
        )
        world.bars.put(bar_row("7203.T", EARLIER))
        assert gaps(world.get("/v1/gaps/7203.T")) == [
            ("11-24T00:00", "11-24T02:30", 150),
            ("11-24T03:30", "11-24T06:30", 180),
        ]

    def test_of_a_night_session_cross_midnight(self) -> None:
        world = world_of(EARLIER, *minutes_from(at("2026-11-30 04:58"), 4), calendar="CMES", timezone="America/Chicago")
        night = ("2026-11-30", "2026-11-29 23:00", "2026-11-30 22:00")
        world.calendars.put(sessions_of("CMES", 2026, "America/Chicago", [night]))
        state = LaneState(complete_to=at("2026-11-30 05:10"), symbols={"AAPL": make_symbol()})
        world.commit(world.lane("AAPL"), state)
        answer = world.get("/v1/gaps/AAPL")
        assert answer.json()["start"] == "2026-11-29T23:00:00.000Z"
        assert gaps(answer) == [("11-29T23:00", "11-30T04:58", 358), ("11-30T05:02", "11-30T05:10", 8)]

    def test_of_a_symbol_that_trades_around_the_clock(self) -> None:
        world = world_of(*minutes_from(at("2026-11-23 00:00"), 600), calendar="always", timezone="UTC")
        world.commit(world.lane("AAPL"), LaneState(complete_to=NOW, symbols={"AAPL": make_symbol()}))
        answer = world.get("/v1/gaps/AAPL")
        assert (counts(answer), gaps(answer)) == ((900, 600), [("11-23T10:00", "11-23T15:00", 300)])

    def test_a_minute_that_is_not_published_yet_is_no_gap(self) -> None:
        world = world_on(at("2026-11-27 14:32"), at("2026-11-27 14:30"))
        state = LaneState(
            complete_to=at("2026-11-27 14:32"),
            symbols={"AAPL": make_symbol(bar=make_bar("AAPL", at("2026-11-27 14:31")))},
        )
        world.commit(world.lane("AAPL"), state)
        assert gaps(world.get("/v1/gaps/AAPL")) == []

    def test_of_a_new_feed_begin_with_its_first_bar(self) -> None:
        world = world_of(*minutes_from(at("2026-11-27 16:00"), 30))
        world.calendars.put(sessions_of("XNYS", 2026, "America/New_York", WEEK))
        complete_to = at("2026-11-27 17:00")
        world.commit(world.lane("AAPL"), LaneState(complete_to=complete_to, symbols={"AAPL": make_symbol()}))
        for asked in ({}, {"start": "2026-11-24", "end": "2026-11-28"}):
            answer = world.get("/v1/gaps/AAPL", **asked)
            assert answer.json()["start"] == "2026-11-27T16:00:00.000Z"
            assert (counts(answer), gaps(answer)) == ((60, 30), [("11-27T16:30", "11-27T17:00", 30)])
        answer = world.get("/v1/gaps/AAPL", start="2026-11-23", end="2026-11-26")
        assert (answer.json()["start"], counts(answer)) == ("2026-11-26T00:00:00.000Z", (0, 0))

    def test_of_a_symbol_without_any_bar_are_none(self) -> None:
        world = world_of()
        world.calendars.put(sessions_of("XNYS", 2026, "America/New_York", WEEK))
        world.commit(world.lane("AAPL"), LaneState(complete_to=SATURDAY, symbols={"AAPL": make_symbol()}))
        answer = world.get("/v1/gaps/AAPL")
        assert (counts(answer), gaps(answer)) == ((0, 0), [])

    def test_minutes_outside_of_sessions_count_as_nothing(self) -> None:
        world = world_on(SATURDAY, *minutes_from(at("2026-11-27 14:30"), 210))
        world.bars.put(bar_row("AAPL", at("2026-11-27 14:29")), bar_row("AAPL", at("2026-11-27 18:00")))
        assert counts(world.get("/v1/gaps/AAPL")) == (210, 210)

    def test_of_a_time_without_sessions_are_unknown(self) -> None:
        answer = world_of().get("/v1/gaps/AAPL")
        assert (answer.status, answer.json()["type"]) == (404, "urn:stockstream:sessions-unknown")
        assert "its calendar is XNYS" in answer.json()["detail"]
        assert world_on(SATURDAY).get("/v1/gaps/AAPL", start="2019-02-15", end="2019-02-16").status == 404
