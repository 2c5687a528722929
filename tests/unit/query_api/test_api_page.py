"""The examples of docs/api.md are true."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from lane_state import LaneState
from query_api.routes import ENDPOINTS
from tests.fakes.query_ports import QueryWorld
from tests.support.query_states import SECOND, make_bar, make_symbol, quote_row

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```\nGET (\S+)\n```\n\n```json\n(.*?)```", PAGE, re.DOTALL)
NOW = datetime(2026, 11, 27, 15, 10, 2, tzinfo=UTC)


@pytest.fixture
def world() -> QueryWorld:
    """The feed of the examples."""
    world = QueryWorld()
    world.now = NOW
    minute = NOW.replace(second=0)
    bar = make_bar("AAPL", minute, open=Decimal("271.4"), high=Decimal("271.5"), low=Decimal("271.4"), volume=2_045)
    symbol = make_symbol(
        event_time=NOW - SECOND,
        price=Decimal("271.49"),
        previous_close=Decimal(270),
        volume=1_204_331,
        currency="USD",
        exchange="NMS",
        bar=bar,
    )
    world.commit(world.lane("AAPL"), LaneState(clock=NOW, symbols={"AAPL": symbol}))
    received = "2026-11-27T15:10:01.150Z"
    time = NOW - SECOND
    world.quotes.put(
        quote_row("AAPL", time, ingest_time=received, source="yahoo", currency="USD"),
        quote_row("AAPL", time - timedelta(seconds=1)),
    )
    return world


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize(("request_", "expected"), EXAMPLES, ids=[request for request, _ in EXAMPLES])
def test_an_example_is_what_the_function_answers(world: QueryWorld, request_: str, expected: str) -> None:
    path, _, query = request_.partition("?")
    assert world.get(path, query=query).json() == json.loads(expected, parse_float=str)


def test_the_python_example_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(code, {})


def test_the_page_lists_every_path() -> None:
    listed = set(re.findall(r"^\| `(/[^?`…]*)", PAGE, re.MULTILINE))
    assert listed == {endpoint.path for endpoint in ENDPOINTS if endpoint.path.startswith("/v1/")} - {
        "/v1/openapi.json"
    } | {"/udf/"}


def test_the_page_lists_every_kind_of_problem() -> None:
    source = "".join(path.read_text() for path in Path(__file__).parents[3].joinpath("query_api").rglob("*.py"))
    kinds = set(re.findall(r'Problem\(\s*\d{3}, "([a-z-]+)"', source))
    assert kinds == set(re.findall(r"`([a-z-]+)`", "".join(re.findall(r"^\| \d{3} \|([^|]*)", PAGE, re.MULTILINE))))
