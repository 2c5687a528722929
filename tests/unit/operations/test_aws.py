"""The errors of the SDK in words for people."""

from __future__ import annotations

import pytest
from botocore.exceptions import BotoCoreError, EndpointConnectionError, ReadTimeoutError

from operations.aws import translated_errors
from operations.errors import Unavailable


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            EndpointConnectionError(endpoint_url="http://127.0.0.1:4566/bucket/key"),
            "http://127.0.0.1:4566 does not answer: if it was a demo, it has ended or is busy",
        ),
        (
            ReadTimeoutError(endpoint_url="https://dynamodb.eu-central-1.amazonaws.com/"),
            "https://dynamodb.eu-central-1.amazonaws.com does not answer: see whether this machine reaches it",
        ),
    ],
)
def test_an_address_that_does_not_answer_is_named_with_what_to_do(error: BotoCoreError, message: str) -> None:
    with pytest.raises(Unavailable) as raised, translated_errors("table bars"):
        raise error
    assert str(raised.value).startswith(f"table bars: {message}")
