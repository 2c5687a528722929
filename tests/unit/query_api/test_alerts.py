"""`/v1/alerts`: pages over days, filters, and bounded reading."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from lane_state import LaneState
from query_api.endpoints.alerts import MAX_READS
from tests.fakes.query_ports import NOW, QueryWorld
from tests.support.query_states import MINUTE, alert_row, make_symbol
from tests.support.query_walk import walk

DAY = timedelta(days=1)


def ids(alerts: list[dict[str, Any]]) -> list[str]:
    return [alert["id"] for alert in alerts]


@pytest.fixture
def world() -> QueryWorld:
    """Twelve alerts of four days, the newest first: a0, a1, …"""
    world = QueryWorld()
    world.alerts.put(*(alert_row(NOW - number * 7 * timedelta(hours=1), f"a{number}") for number in range(12)))
    return world


def test_an_alert_has_its_values_with_their_digits() -> None:
    world = QueryWorld()
    world.alerts.put(
        alert_row(NOW, "x", symbol="lane-00-of-02", symbols=["AAPL", "MSFT"], values={"price": Decimal("105.20")})
    )
    answer = world.get("/v1/alerts")
    assert b'"price":105.20' in answer.body
    assert answer.json() == {
        "alerts": [
            {
                "id": "x",
                "rule": "price_move",
                "severity": "warning",
                "symbol": "lane-00-of-02",
                "symbols": ["AAPL", "MSFT"],
                "timestamp": "2026-11-23T15:00:00.000Z",
                "subject": "AAPL moved +5.20% to 105.2",
                "values": {"price": "105.20"},
            }
        ],
        "next": None,
    }


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 5, 100])
def test_pages_have_each_alert_once_over_the_days(world: QueryWorld, order: str, limit: int) -> None:
    found = ids([alert for page in walk(world, "/v1/alerts", "alerts", order=order, limit=limit) for alert in page])
    assert found == [f"a{number}" for number in (range(12) if order == "desc" else reversed(range(12)))]


def test_pages_have_each_alert_once_while_time_passes_and_alerts_arrive(world: QueryWorld) -> None:
    world.alerts.put(alert_row(NOW - 7 * DAY + MINUTE, "oldest"))
    found: list[str] = []
    for page in walk(world, "/v1/alerts", "alerts", limit=2):
        found += ids(page)
        world.now += DAY / 4
        world.alerts.put(alert_row(world.now, f"new{len(found)}"))
    assert found == [*(f"a{number}" for number in range(12)), "oldest"]


def test_the_default_range_is_the_last_seven_days(world: QueryWorld) -> None:
    world.alerts.put(alert_row(NOW - 7 * DAY, "in"), alert_row(NOW - 7 * DAY - MINUTE, "out"))
    assert ids(world.get("/v1/alerts").json()["alerts"])[-1] == "in"
    assert ids(world.get("/v1/alerts", end="2026-11-16T15:00:00Z").json()["alerts"]) == ["out"]
    assert ids(world.get("/v1/alerts", start="2026-11-23T08:00:00Z").json()["alerts"]) == ["a0", "a1"]


@pytest.mark.parametrize("clock", [None, NOW], ids=["before its first heartbeat", "with a clock of today"])
def test_the_default_range_of_a_replay_is_around_its_newest_quote(clock: datetime | None) -> None:
    world, then = QueryWorld(), NOW - 2_846 * DAY
    world.commit(world.lane("AAPL"), LaneState(clock=clock, symbols={"AAPL": make_symbol(event_time=then)}))
    world.alerts.put(alert_row(then, "in"), alert_row(then - 8 * DAY, "out"), alert_row(then + DAY, "later"))
    assert ids(world.get("/v1/alerts").json()["alerts"]) == ["later", "in"]


def test_filters(world: QueryWorld) -> None:
    world.alerts.put(
        alert_row(NOW, "r", rule="rsi"),
        alert_row(NOW, "s", severity="critical"),
        alert_row(NOW, "m", symbol="MSFT"),
        alert_row(NOW, "l", symbol="lane-00-of-02", symbols=["IBM", "MSFT"]),
    )
    assert ids(world.get("/v1/alerts", rule="rsi").json()["alerts"]) == ["r"]
    assert ids(world.get("/v1/alerts", severity="critical").json()["alerts"]) == ["s"]
    assert ids(world.get("/v1/alerts", symbol="MSFT").json()["alerts"]) == ["m", "l"]
    assert world.get("/v1/alerts", symbol="MSFT", rule="rsi").json() == {"alerts": [], "next": None}


def test_a_request_reads_a_bounded_number_of_pages_and_the_next_one_goes_on(world: QueryWorld) -> None:
    world.alerts.put(alert_row(NOW - 300 * DAY, "old"))
    parameters = {"start": "2025-11-25", "end": "2026-11-20"}
    reads = []
    found: list[str] = []
    for page in walk(world, "/v1/alerts", "alerts", **parameters):
        reads.append(world.alerts.reads)
        found += ids(page)
    assert found[-1] == "old"
    assert len(reads) == 23
    assert all(after - before <= MAX_READS for before, after in zip([0, *reads], reads, strict=False))


def test_a_page_ends_before_it_is_too_long_for_lambda() -> None:
    world = QueryWorld()
    symbols = [f"{'S' * 28}{number:04}" for number in range(800)]
    world.alerts.put(*(alert_row(NOW - number * MINUTE, f"a{number}", symbols=symbols) for number in range(250)))
    pages = list(walk(world, "/v1/alerts", "alerts", limit=1_000))
    assert len(pages) == 3
    assert ids([alert for page in pages for alert in page]) == [f"a{number}" for number in range(250)]
    assert len(world.get("/v1/alerts", limit=1_000).body) < 3_000_000


def test_only_a_range_up_to_which_every_lane_is_complete_may_be_kept(world: QueryWorld) -> None:
    caches = []
    for first, second in ((NOW, NOW - DAY), (NOW, NOW)):
        for lane, complete_to in (("AAPL", first), ("MSFT", second)):
            world.commit(world.lane(lane), LaneState(complete_to=complete_to))
        caches.append(world.get("/v1/alerts", end="2026-11-23T14:00:00Z").headers["cache-control"])
        world.seconds += 1
    assert caches == ["private, no-cache", "private, max-age=60"]
    assert world.get("/v1/alerts").headers["cache-control"] == "private, no-cache"


def test_a_range_at_the_end_of_time_is_empty(world: QueryWorld) -> None:
    assert world.get("/v1/alerts", start="9999-12-31T23:59:59.999Z").json() == {"alerts": [], "next": None}


def test_a_range_of_more_than_400_days_is_refused() -> None:
    world = QueryWorld()
    assert world.get("/v1/alerts", start="2025-10-20").status == 200
    answer = world.get("/v1/alerts", start="2025-10-18")
    assert (answer.status, answer.json()["parameter"]) == (400, "start")


def test_csv(world: QueryWorld) -> None:
    world.alerts.put(alert_row(NOW, "z", symbol="lane-00-of-02", symbols=["AAPL", "MSFT"]))
    answer = world.get("/v1/alerts", format="csv", limit=1)
    (row,) = csv.DictReader(io.StringIO(answer.body.decode(), newline=""))
    assert (row["id"], row["symbols"], row["values"]) == ("z", "AAPL MSFT", '{"price":105.2}')
    assert answer.headers["link"].startswith("<?format=csv&limit=1&cursor=")
