"""The deployed query function behind an HTTP API: its answers are what the tables hold, and what its document says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from bars.coverage import WITHOUT_TRADES, spans_text
from bars.keys import asked_key
from bars.resolutions import Span
from deployment.deployer import Deployment
from deployment.stacks import Outputs
from lane_state import LaneState, pack
from quotes import lane_of, partition_key, to_iso
from replica import http_api
from replica.emulator import Emulator
from tests.fakes.query_ports import item_of
from tests.support.generated_requests import ask_whatever_the_document_allows
from tests.support.query_bars import MINUTE, bar_row, sessions_of
from tests.support.query_states import SECOND, alert_row, make_bar, make_symbol, quote_row
from tests.support.sizes import sized

LANES = 4
NOW = datetime.now(UTC).replace(microsecond=0)
QUOTES = [quote_row("^GSPC", NOW - number * SECOND, price=Decimal(100 + number) / 3) for number in range(7)]
MINUTES = [bar_row("^GSPC", (NOW - number * MINUTE).replace(second=0)) for number in range(1, 25)]
OPENS, CLOSES = ((NOW - number * MINUTE).replace(second=0) for number in (30, 0))
"""A session that has just closed."""
DAY = f"{OPENS:%Y-%m-%d}"


@pytest.fixture(scope="module")
def deployed(emulator: Emulator, packages: dict[str, Path]) -> Outputs:
    """The tables and the function, without a stream."""
    clients = emulator.client("cloudformation"), emulator.client("s3")
    return Deployment(*clients, "query", stacks=("storage", "query")).deploy(packages)


@pytest.fixture(scope="module")
def api(emulator: Emulator, deployed: Outputs) -> Iterator[httpx.Client]:
    """The API over a few rows and a lane."""
    dynamodb = emulator.client("dynamodb")

    def put(table: str, row: Any) -> None:
        dynamodb.put_item(TableName=deployed[table], Item=_without_nulls(msgspec.to_builtins(item_of(row))))

    for row in QUOTES:
        put("QuotesTable", row)
    for number in range(5):
        put("AlertsTable", alert_row(NOW - number * timedelta(hours=12), f"a{number}", symbols=["AAPL", "MSFT"]))
    for row in MINUTES:
        put("BarsTable", row)
    put("CalendarsTable", {"id": "symbols", "name": "^GSPC", "calendar": "XNYS", "timezone": "America/New_York"})
    put("CalendarsTable", sessions_of("XNYS", OPENS.year, "America/New_York", [(DAY, _minute(OPENS), _minute(CLOSES))]))
    asked = spans_text([Span(OPENS, OPENS + 2 * MINUTE)])
    put("BarsTable", {"symbol": "^GSPC", "key": asked_key("1m", OPENS), WITHOUT_TRADES: asked})
    symbol = make_symbol(event_time=NOW, price=QUOTES[0]["price"], bar=make_bar("^GSPC", NOW.replace(second=0)))
    state = pack(LaneState(clock=NOW, symbols={"^GSPC": symbol}))
    lane = partition_key(lane_of("^GSPC", LANES), LANES)
    dynamodb.put_item(TableName=deployed["StateTable"], Item={"lane": {"S": lane}, "state": {"B": state}})
    entrance = http_api.create(emulator.client, "query-test", deployed["QueryLiveAliasArn"])
    url = http_api.url(emulator.endpoint_url, entrance)
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        yield client


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def walked(api: httpx.Client, path: str, name: str, **parameters: str) -> list[Any]:
    """The items of all pages."""
    found: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = api.get(path, params={**parameters, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        page = json.loads(answer.text, parse_float=Decimal)
        found += page[name]
        cursor = page["next"]
    return found


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_the_pages_of_quotes_are_the_rows_of_the_table(api: httpx.Client, order: str) -> None:
    rows = QUOTES if order == "desc" else QUOTES[::-1]
    found = walked(api, "/v1/quotes/%5EGSPC", "quotes", order=order, limit="3")
    assert [(quote["event_time"], quote["price"]) for quote in found] == [
        (row["timestamp"], row["price"]) for row in rows
    ]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_the_pages_of_bars_are_the_minutes_of_the_table_and_the_open_one(api: httpx.Client, order: str) -> None:
    found = walked(api, "/v1/bars/%5EGSPC", "bars", order=order, limit="10")
    starts = [bar["start"] for bar in found]
    assert starts == sorted(
        {to_iso(NOW.replace(second=0)), *(row["key"].removeprefix("1m#") for row in MINUTES)}, reverse=order == "desc"
    )
    assert [bar["start"] for bar in found if "is_open" in bar] == [to_iso(NOW.replace(second=0))]
    coarse = walked(api, "/v1/bars/%5EGSPC", "bars", order=order, limit="2", resolution="5m")
    assert sum(bar["quotes"] for bar in coarse) == sum(bar["quotes"] for bar in found)


def test_the_minutes_of_a_session_are_stored_without_trades_or_missing(api: httpx.Client) -> None:
    (day,) = api.get("/v1/coverage/%5EGSPC").json()["days"]
    counts = {name: day[name] for name in ("expected", "stored", "stream", "without_trades", "missing")}
    assert counts == {"expected": 30, "stored": 24, "stream": 24, "without_trades": 2, "missing": 4}


def test_the_pages_of_alerts_are_the_rows_of_all_days(api: httpx.Client) -> None:
    found = walked(api, "/v1/alerts", "alerts", symbol="MSFT", limit="2")
    assert [alert["id"] for alert in found] == [f"a{number}" for number in range(5)]


def test_the_latest_price_symbols_and_status_come_from_the_lane(api: httpx.Client) -> None:
    latest = json.loads(api.get("/v1/latest", params={"symbols": "^GSPC,NONE"}).text, parse_float=Decimal)
    assert [quote["price"] for quote in latest["quotes"]] == [QUOTES[0]["price"]]
    assert latest["unknown"] == ["NONE"]
    (symbol,) = api.get("/v1/symbols").json()["symbols"]
    assert (symbol["symbol"], symbol["calendar"]) == ("^GSPC", "XNYS")
    status = api.get("/v1/status").json()
    assert [lane["symbols"] for lane in status["lanes"]] == [1]
    assert status["quarantine"] == {"messages": 0, "in_flight": 0}


def test_an_unchanged_answer_is_not_sent_again(api: httpx.Client) -> None:
    answer = api.get("/v1/quotes/%5EGSPC", headers={"accept-encoding": "gzip"})
    assert answer.headers["etag"].endswith('"')
    again = api.get("/v1/quotes/%5EGSPC", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_generated_requests_get_no_5xx_and_no_undocumented_answer(api: httpx.Client) -> None:
    ask_whatever_the_document_allows(api, examples=sized(2, 8))
