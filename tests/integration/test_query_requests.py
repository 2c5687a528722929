"""Whatever the OpenAPI document allows is answered as it says, and what it forbids is refused (schemathesis)."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from lane_state import LaneState
from tests.fakes.query_ports import NOW, QueryWorld
from tests.support.query_asgi import asgi_of
from tests.support.query_states import SECOND, alert_row, make_symbol, quote_row
from tests.support.sizes import sized


def feed() -> QueryWorld:
    """A feed with a few quotes and alerts."""
    world = QueryWorld()
    world.quotes.put(*(quote_row("AAPL", NOW - number * SECOND) for number in range(5)))
    world.alerts.put(*(alert_row(NOW - number * SECOND, f"a{number}") for number in range(5)))
    world.commit(world.lane("AAPL"), LaneState(clock=NOW, symbols={"AAPL": make_symbol()}))
    return world


WORLD = feed()
SCHEMA = schemathesis.openapi.from_asgi("/v1/openapi.json", asgi_of(WORLD.handler))


@SCHEMA.parametrize()
@settings(
    max_examples=sized(3, 40),
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_a_generated_request_is_answered_as_documented(case: schemathesis.Case[Any]) -> None:
    # A schema cannot say that a cursor belongs to its query, and that a range ends after its start.
    case.call_and_validate(excluded_checks=[positive_data_acceptance])
    assert WORLD.log == []
