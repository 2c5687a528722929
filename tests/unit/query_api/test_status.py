"""`/v1/status`: what is wrong with the feed, in sentences."""

from __future__ import annotations

from datetime import timedelta

from lane_state import DayCounts, LaneState
from query_api.ports import Depth
from tests.fakes.query_ports import NOW, QueryWorld
from tests.support.query_states import MINUTE, SECOND, make_symbol

LANES = ("lane-00-of-02", "lane-01-of-02")


def test_a_feed_that_is_well_has_no_problems() -> None:
    world = QueryWorld()
    for number, name in enumerate(LANES):
        state = LaneState(
            clock=NOW - SECOND,
            complete_to=NOW - 2 * SECOND,
            symbols={f"S{number}": make_symbol()},
            arrival=NOW - number * SECOND,
            counts=(DayCounts("2026-11-22", 10, 1, 2), DayCounts("2026-11-23", 5 + number, 0, 1)),
        )
        world.commit(name, state)
    lane: dict[str, str | int] = {
        "lane": "lane-00-of-02",
        "symbols": 1,
        "stale": 0,
        "clock": "2026-11-23T14:59:59.000Z",
        "complete_to": "2026-11-23T14:59:58.000Z",
        "arrival": "2026-11-23T15:00:00.000Z",
        "newest_event_time": "2026-11-23T14:59:58.000Z",
    }
    assert world.get("/v1/status").json() == {
        "as_of": "2026-11-23T14:59:59.000Z",
        "lanes": [lane, {**lane, "lane": "lane-01-of-02", "arrival": "2026-11-23T14:59:59.000Z"}],
        "last_batch": "2026-11-23T15:00:00.000Z",
        "counts": [
            {"day": "2026-11-22", "quotes": 20, "late": 2, "repeated": 4},
            {"day": "2026-11-23", "quotes": 11, "late": 0, "repeated": 2},
        ],
        "quarantine": {"messages": 0, "in_flight": 0},
        "problems": [],
    }


def test_says_what_is_wrong() -> None:
    world = QueryWorld()
    silent = make_symbol(event_time=NOW - timedelta(hours=1))
    world.commit(LANES[0], LaneState(clock=NOW, symbols={"A": silent, "B": make_symbol()}))
    world.commit(LANES[1], LaneState(clock=NOW - 4 * MINUTE))
    world.queue.found = Depth(3, 1)
    answer = world.get("/v1/status").json()
    assert answer["quarantine"] == {"messages": 3, "in_flight": 1}
    assert answer["problems"] == [
        "1 of 2 symbols of lane-00-of-02 are stale in an open market.",
        (
            "lane-01-of-02 has had no heartbeat for 3 minutes: the last one is of 2026-11-23T14:56:00.000Z. Look at "
            "the producer."
        ),
        "The quarantine has 3 messages: lines or alerts that were refused.",
    ]


def test_an_empty_feed_says_so() -> None:
    (problem,) = QueryWorld().get("/v1/status").json()["problems"]
    assert problem == "Nothing is stored yet: no batch of the stream has been processed."


def test_a_lane_that_is_missing_may_mean_another_number_of_lanes() -> None:
    world = QueryWorld()
    world.commit(LANES[0], LaneState(clock=NOW))
    (problem,) = world.get("/v1/status").json()["problems"]
    assert problem == "lane-01-of-02 has never been stored. Look whether the producer has 2 lanes."
