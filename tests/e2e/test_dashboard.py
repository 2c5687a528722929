"""The dashboard in its container, and the query function behind it on LocalStack."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.stack import Stack, wait_until
from tests.support.generated_requests import ask_whatever_the_document_allows

pytestmark = pytest.mark.e2e


@pytest.fixture
def dashboard(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url("dashboard", 8000), trust_env=False, timeout=20) as client:
        yield client


def test_the_page_loads_with_everything_that_it_names(dashboard: httpx.Client) -> None:
    page = dashboard.get("/")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    parts = page.text.split('"')
    named = [part for part in parts if part.startswith(("/assets/", "./assets/", "assets/"))]
    assert named
    for part in named:
        answer = dashboard.get("/" + part.removeprefix(".").removeprefix("/"))
        assert answer.status_code == 200, part
        assert "immutable" in answer.headers["cache-control"]
    assert dashboard.get("/config.json").json()["stage"] == "dev"


def test_the_latest_prices_are_those_of_the_running_market(dashboard: httpx.Client) -> None:
    answer = dashboard.get("/v1/latest")
    quotes = answer.json()["quotes"]
    assert quotes
    assert all(quote["price"] > 0 for quote in quotes)
    before = answer.json()["as_of"]
    wait_until(lambda: dashboard.get("/v1/latest").json()["as_of"] > before, seconds=60, what="newer prices")


def test_an_answer_that_did_not_change_is_not_sent_again(dashboard: httpx.Client) -> None:
    first = dashboard.get("/v1/openapi.json")
    assert first.status_code == 200
    again = dashboard.get("/v1/openapi.json", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_charting_clients_find_their_protocol(dashboard: httpx.Client) -> None:
    assert "1" in dashboard.get("/udf/config").json()["supported_resolutions"]


def test_a_wrong_request_is_a_problem_of_the_function(dashboard: httpx.Client) -> None:
    answer = dashboard.get("/v1/latest?symbol=AAPL")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_generated_requests_get_no_5xx_and_no_undocumented_answer(dashboard: httpx.Client) -> None:
    ask_whatever_the_document_allows(dashboard, examples=2)
