"""The OpenAPI document is true: it validates, and every answer and every error is as it says."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from aws_requests import Unavailable
from lane_state import DayCounts, LaneState
from query_api.openapi import Endpoint, document
from query_api.routes import ENDPOINTS
from tests.fakes.query_ports import NOW, QueryWorld
from tests.support.openapi_answers import problems_of_answer
from tests.support.query_bars import bar_row, sessions_of
from tests.support.query_states import MINUTE, alert_row, make_bar, make_symbol, quote_row

OF_TABLES = [endpoint for endpoint in ENDPOINTS if endpoint.path.startswith("/v1/") and "openapi" not in endpoint.path]


MARKS = ("/udf/marks", "/udf/timescale_marks")
"""A symbol without anything has no marks."""


@pytest.fixture(scope="module")
def world() -> QueryWorld:
    """A feed in which everything that can be there is there."""
    world = QueryWorld()
    everything: dict[str, Any] = {
        **dict.fromkeys(("open", "high", "low", "previous_close", "change", "change_percent"), Decimal("1.50")),
        **dict.fromkeys(("currency", "exchange", "market_state", "source", "volume_period", "provenance"), "X"),
        "moving_average": Decimal("1.5"),
        "anomaly": "No",
        "volume": 7,
        "delay_minutes": 15,
        "source_time": "2026-11-23T14:59:58.000Z",
        "expires_at": 1_800_000_000,
    }
    world.quotes.put(quote_row("AAPL", NOW, 1, **everything), quote_row("AAPL", NOW - MINUTE))
    world.alerts.put(alert_row(NOW, "a"), alert_row(NOW, "b", symbols=["AAPL", "MSFT"]))
    world.calendars.put({"id": "symbols", "name": "AAPL", "calendar": "XNYS", "timezone": "America/New_York"})
    session = ("2026-11-23", "2026-11-23 14:30", "2026-11-23 21:00")
    world.calendars.put(sessions_of("XNYS", 2026, "America/New_York", [session]))
    world.bars.put(bar_row("AAPL", NOW - 3 * MINUTE, sma_5=Decimal("271.5"), rsi_14=Decimal(50)))
    full = make_symbol(
        previous_close=Decimal(270), volume=7, currency="USD", exchange="NMS", bar=make_bar("AAPL", NOW - MINUTE)
    )
    world.commit(
        world.lane("AAPL"),
        LaneState(
            clock=NOW,
            complete_to=NOW,
            symbols={"AAPL": full, "MSFT": make_symbol()},
            arrival=NOW,
            counts=(DayCounts("2026-11-23", 2, 1, 0),),
        ),
    )
    return world


def needed(endpoint: Endpoint) -> dict[str, str]:
    """Values of the parameters without which the endpoint answers nothing."""
    examples = {"symbol": "AAPL", "symbols": "AAPL", "resolution": "5", "from": "0", "to": "1795791000"}
    return {
        each.name: examples[each.name] for each in endpoint.parameters if each.is_required and each.place == "query"
    }


def path_of(endpoint: Endpoint) -> str:
    return endpoint.path.replace("{symbol}", "AAPL")


def id_of(endpoint: Endpoint) -> str:
    return endpoint.path


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=id_of)
class TestEndpoint:
    def test_its_answer_is_as_documented(self, world: QueryWorld, endpoint: Endpoint) -> None:
        answer = world.get(path_of(endpoint), query=urlencode(needed(endpoint)))
        assert answer.status == 200
        assert problems_of_answer(endpoint.path, answer) == []

    def test_its_answer_without_data_is_as_documented(self, endpoint: Endpoint) -> None:
        answer = QueryWorld().get(path_of(endpoint), query=urlencode(needed(endpoint)))
        is_found = not endpoint.is_about_a_symbol or endpoint.path in MARKS
        assert answer.status == (200 if is_found else 404)
        assert problems_of_answer(endpoint.path, answer) == []

    def test_its_csv_is_as_documented(self, world: QueryWorld, endpoint: Endpoint) -> None:
        answer = world.get(path_of(endpoint), format="csv")
        assert answer.status == (200 if endpoint.has_csv else 400)
        assert problems_of_answer(endpoint.path, answer) == []

    def test_it_takes_the_documented_parameters_and_no_other(self, world: QueryWorld, endpoint: Endpoint) -> None:
        for name in {parameter for each in ENDPOINTS for parameter in each.names} | {"nonsense"}:
            answer = world.get(path_of(endpoint), query=f"{name}=%00")
            assert answer.status == 400
            answer = world.get(path_of(endpoint), query=f"{name}={'x' * 99}!")
            is_unknown = answer.status == 400 and answer.json()["type"] == "urn:stockstream:parameter-unknown"
            assert is_unknown == (name not in endpoint.names), name
            assert problems_of_answer(endpoint.path, answer) == []

    def test_the_values_that_it_documents_are_allowed(self, world: QueryWorld, endpoint: Endpoint) -> None:
        for parameter in endpoint.parameters:
            schema = parameter.schema
            good = [*schema.get("enum", ()), *(schema[name] for name in ("minimum", "maximum") if name in schema)]
            for value in good if parameter.place == "query" else ():
                query = urlencode(needed(endpoint) | {parameter.name: value})
                answer = world.get(path_of(endpoint), query=query)
                assert answer.status == 200, (parameter.name, value)
                assert problems_of_answer(endpoint.path, answer) == []
            for value in (schema[name] + by for name, by in (("minimum", -1), ("maximum", 1)) if name in schema):
                assert world.get(path_of(endpoint), **{parameter.name: value}).status == 400, (parameter.name, value)

    def test_a_head_request_has_the_documented_statuses(self, world: QueryWorld, endpoint: Endpoint) -> None:
        for query in (urlencode(needed(endpoint)), "", "nonsense=1"):
            answer = world.get(path_of(endpoint), method="HEAD", query=query)
            assert problems_of_answer(endpoint.path, answer, "head") == []


@pytest.mark.parametrize("endpoint", OF_TABLES, ids=id_of)
def test_an_aws_that_does_not_answer_is_documented(endpoint: Endpoint) -> None:
    def fail() -> None:
        raise Unavailable("throttled")

    world = QueryWorld()
    for port in (world.states, world.quotes, world.bars, world.alerts, world.calendars):
        port.fault = fail
    answer = world.get(path_of(endpoint))
    assert answer.status == 503
    assert problems_of_answer(endpoint.path, answer) == []


def test_the_document_is_what_the_endpoint_sends(world: QueryWorld) -> None:
    assert world.get("/v1/openapi.json").numbers() == document(ENDPOINTS)


def test_every_operation_and_parameter_is_described() -> None:
    described = document(ENDPOINTS)
    names = [operation["operationId"] for path in described["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))
    for path in described["paths"].values():
        for operation in path.values():
            assert operation["summary"].endswith(".")
            assert operation["description"].endswith(".")
            assert all(parameter["description"] for parameter in operation["parameters"])
