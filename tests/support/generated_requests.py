"""Requests that an OpenAPI document allows, made up by schemathesis."""

from __future__ import annotations

from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance


def ask_whatever_the_document_allows(api: httpx.Client, examples: int) -> None:
    """Ask each operation of an API's document a number of times.

    Raises an error if an answer has a status from 500 on, or is not as documented. A document cannot say that a cursor
    belongs to its query, so a request that it allows may still be refused.
    """
    schema = schemathesis.openapi.from_dict(api.get("/v1/openapi.json").json())
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        strategy = found.ok().as_strategy()

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy)
        def ask(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(base_url=str(api.base_url), excluded_checks=[positive_data_acceptance])

        ask()
