"""`/v1/quotes/{symbol}`: pages of the rows of a symbol."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest

from lane_state import LaneState
from tests.fakes.query_ports import NOW, QueryWorld
from tests.support.query_states import MINUTE, SECOND, make_symbol, quote_row
from tests.support.query_walk import keys_of, walk


@pytest.fixture
def world() -> QueryWorld:
    """Ten quotes of AAPL, one a second, the first at 14:59:00."""
    world = QueryWorld()
    world.quotes.put(*(quote_row("AAPL", NOW - MINUTE + number * SECOND) for number in range(10)))
    return world


def test_a_quote_has_the_attributes_and_the_digits_of_its_row() -> None:
    world = QueryWorld()
    world.quotes.put(
        quote_row("AAPL", NOW, 3, price=Decimal("271.4900"), volume=7, anomaly="No", source='a "b"', expires_at=1)
    )
    answer = world.get("/v1/quotes/AAPL")
    assert b'"price":271.4900,' in answer.body
    assert answer.json() == {
        "symbol": "AAPL",
        "row_resolution": "every",
        "quotes": [
            {
                "event_time": "2026-11-23T15:00:00.000Z",
                "revision": 3,
                "price": "271.4900",
                "ingest_time": "2026-11-23T15:00:00.000Z",
                "volume": 7,
                "anomaly": "No",
                "source": 'a "b"',
            }
        ],
        "next": None,
    }


def test_the_newest_come_first_unless_the_oldest_are_asked_for(world: QueryWorld) -> None:
    newest, oldest = (world.get("/v1/quotes/AAPL", order=order, limit=3).json() for order in ("desc", "asc"))
    assert [quote["event_time"][17:19] for quote in newest["quotes"]] == ["09", "08", "07"]
    assert [quote["event_time"][17:19] for quote in oldest["quotes"]] == ["00", "01", "02"]
    assert newest["quotes"] == world.get("/v1/quotes/AAPL", limit=3).json()["quotes"]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-11-23T14:59:03Z", "2026-11-23T14:59:06Z"),
        ("2026-11-23T15:59:03+01:00", "2026-11-23T09:59:06-05:00"),
        ("1795445943", "1795445946"),
        ("2026-11-23T14:59:02.001Z", "2026-11-23T14:59:05.001Z"),
    ],
)
def test_a_range_has_its_start_and_not_its_end(world: QueryWorld, start: str, end: str) -> None:
    quotes = world.get("/v1/quotes/AAPL", start=start, end=end, order="asc").json()["quotes"]
    assert [quote["event_time"][17:19] for quote in quotes] == ["03", "04", "05"]


def test_a_range_has_all_revisions_of_its_last_millisecond() -> None:
    world = QueryWorld()
    world.quotes.put(quote_row("AAPL", NOW), quote_row("AAPL", NOW, 2), quote_row("AAPL", NOW + SECOND))
    quotes = world.get("/v1/quotes/AAPL", end="2026-11-23T15:00:00.001Z").json()["quotes"]
    assert [quote["revision"] for quote in quotes] == [2, 0]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 3, 10])
def test_pages_have_each_quote_once(world: QueryWorld, order: str, limit: int) -> None:
    seconds = [f"{number:02d}" for number in range(10)]
    pages = list(walk(world, "/v1/quotes/AAPL", "quotes", order=order, limit=limit))
    found = [quote["event_time"][17:19] for page in pages for quote in page]
    assert found == (seconds if order == "asc" else seconds[::-1])


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_have_each_quote_once_while_new_ones_arrive(world: QueryWorld, order: str) -> None:
    expected = {key for page in walk(world, "/v1/quotes/AAPL", "quotes") for key in keys_of(page)}
    found: list[str] = []
    for number, page in enumerate(walk(world, "/v1/quotes/AAPL", "quotes", order=order, limit=2)):
        found += keys_of(page)
        if number < 5:
            # A new quote, a late one and another revision of one that was shown.
            world.quotes.put(
                quote_row("AAPL", NOW + number * SECOND),
                quote_row("AAPL", NOW - MINUTE + number * SECOND + SECOND / 2),
                quote_row("AAPL", NOW - MINUTE, number + 1),
            )
    assert len(found) == len(set(found))
    assert expected <= set(found)


def test_a_page_of_a_table_may_be_short_and_still_have_a_next_one(world: QueryWorld) -> None:
    world.quotes.page_items = 4
    pages = list(walk(world, "/v1/quotes/AAPL", "quotes", limit=8))
    assert [len(page) for page in pages] == [4, 4, 2]


def test_an_unknown_symbol_is_not_found(world: QueryWorld) -> None:
    answer = world.get("/v1/quotes/NONE")
    assert (answer.status, answer.json()["type"]) == (404, "urn:stockstream:symbol-unknown")
    assert "'NONE'" in answer.json()["detail"]


def test_a_known_symbol_without_quotes_in_the_range_has_an_empty_page(world: QueryWorld) -> None:
    assert world.get("/v1/quotes/AAPL", start="2027-01-01").json()["quotes"] == []
    world.commit(world.lane("MSFT"), LaneState(clock=NOW, symbols={"MSFT": make_symbol()}))
    assert world.get("/v1/quotes/MSFT").json()["quotes"] == []


@pytest.mark.parametrize("path", ["%5EGSPC", "^GSPC"])
def test_a_symbol_may_be_encoded(path: str) -> None:
    world = QueryWorld()
    world.quotes.put(quote_row("^GSPC", NOW))
    assert world.get(f"/v1/quotes/{path}").json()["symbol"] == "^GSPC"


@pytest.mark.parametrize("path", ["A/B", "A%2FB"])
def test_a_symbol_may_have_a_slash(path: str) -> None:
    world = QueryWorld()
    world.quotes.put(quote_row("A/B", NOW))
    assert world.get(f"/v1/quotes/{path}").json()["symbol"] == "A/B"


def test_csv_has_the_same_quotes_and_the_next_page_in_a_header(world: QueryWorld) -> None:
    rows: list[dict[str, str]] = []
    query = "format=csv&limit=4&start=2026-11-23"
    while query:
        answer = world.get("/v1/quotes/AAPL", query=query)
        assert answer.headers["content-type"].startswith("text/csv")
        rows += csv.DictReader(io.StringIO(answer.body.decode(), newline=""))
        query = answer.headers.get("link", "").removesuffix('>; rel="next"').removeprefix("<?")
    expected = world.get("/v1/quotes/AAPL").json()["quotes"]
    assert [{name: value for name, value in row.items() if value} for row in rows] == [
        {name: str(value) for name, value in quote.items()} for quote in expected
    ]


def test_csv_quotes_what_has_a_comma_or_a_quotation_mark() -> None:
    world = QueryWorld()
    world.quotes.put(quote_row("AAPL", NOW, source='a "b", c'))
    (row,) = csv.DictReader(io.StringIO(world.get("/v1/quotes/AAPL", format="csv").body.decode(), newline=""))
    assert row["source"] == 'a "b", c'


def test_only_a_range_that_is_over_may_be_kept(world: QueryWorld) -> None:
    def cache(**parameters: str) -> str:
        return world.get("/v1/quotes/AAPL", **parameters).headers["cache-control"]

    over = {"start": "2026-11-22", "end": "2026-11-23T14:50:00Z"}
    assert cache(**over) == "private, no-cache"  # nobody knows whether quotes are still to come
    for complete_to, expected in ((NOW - 11 * MINUTE, "private, no-cache"), (NOW, "private, max-age=60")):
        world.commit(world.lane("AAPL"), LaneState(complete_to=complete_to))
        assert cache(**over) == expected
        world.seconds += 1
    assert cache() == cache(end="2026-11-23T14:50:01Z") == "private, no-cache"
