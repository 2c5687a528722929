from __future__ import annotations

import json

import pytest

from replica.event_source import Invocation
from replica.event_source.response import Failed, PartlyFailed, Succeeded, outcome_of
from tests.support.event_source import make_records


def _reported(*identifiers: object) -> bytes:
    return json.dumps({"batchItemFailures": [{"itemIdentifier": each} for each in identifiers]}).encode()


@pytest.mark.parametrize(
    "payload",
    [b"null", b"{}", b"", b'{"batchItemFailures": []}', b'{"batchItemFailures": null}', b'{"statusCode": 200}'],
)
def test_an_empty_report_is_complete_success(payload: bytes) -> None:
    invocation = Invocation(request_id="r", payload=payload)

    assert outcome_of(invocation, make_records(3), reports_batch_item_failures=True) == Succeeded()


@pytest.mark.parametrize(
    "payload",
    [
        _reported(""),
        _reported(None),
        _reported(9),
        _reported("404"),
        _reported("9", "404"),
        b'{"batchItemFailures": [{"sequenceNumber": "9"}]}',
        b'{"batchItemFailures": ["9"]}',
        b'{"batchItemFailures": {"itemIdentifier": "9"}}',
        b'"done"',
        b"[]",
        b"not JSON",
        b'{"batchItemFailures": [{"itemIdentifier": "\xff"}]}',
    ],
)
def test_a_report_that_cannot_be_read_is_complete_failure(payload: bytes) -> None:
    invocation = Invocation(request_id="r", payload=payload)

    assert isinstance(outcome_of(invocation, make_records(3), reports_batch_item_failures=True), Failed)


def test_the_lowest_of_several_failures_is_the_checkpoint_compared_as_integers() -> None:
    invocation = Invocation(request_id="r", payload=_reported("11", "10", "9"))  # "10" is the lowest as text

    assert outcome_of(invocation, make_records(5), reports_batch_item_failures=True) == PartlyFailed(1)


def test_a_report_is_not_looked_at_unless_the_mapping_asks_for_it() -> None:
    invocation = Invocation(request_id="r", payload=_reported("9"))

    assert outcome_of(invocation, make_records(3), reports_batch_item_failures=False) == Succeeded()


def test_a_function_error_is_complete_failure_whatever_its_payload() -> None:
    invocation = Invocation(request_id="r", payload=b"{}", function_error="Unhandled")

    assert outcome_of(invocation, make_records(3), reports_batch_item_failures=True) == Failed(
        "function error: Unhandled"
    )
