"""What the tests of the AWS adapters share: services with a clock of their own, errors of AWS, and samples to send."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Protocol

from msgspec.structs import replace

from aws_requests import Service
from lane_state import WHOLE, Alert, LaneState, Position
from processor_lambda.ports import QuarantineMessage
from processor_lambda.rows import Row
from tests.fakes.scripted_server import response

DONE = response(200, b"{}")
"""The response to a request that succeeded and returns nothing."""
ROWS: list[Row] = [{"symbol": f"S{number}", "key": "t", "close": Decimal(number)} for number in range(60)]
STATE = LaneState(position=Position(7, WHOLE))
ALERT = Alert(
    id="price_move:A&B:t",
    rule="price_move",
    severity="warning",
    symbol="A&B",
    timestamp="t",
    subject="A&B moved +5.20% to 105.2",
    values={"price": Decimal("105.2")},
)


class Clock:
    """A clock that only `sleep` advances."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Advance the clock."""
        self.pauses.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        return self.now


class Connect(Protocol):
    """Makes services. They are closed after the test."""

    def __call__(
        self, name: str = ..., url: str | None = ..., environment: dict[str, str] | None = ..., ca: str | None = ...
    ) -> Service: ...


def error(code: str, status: int = 400, message: str = "why") -> bytes:
    """An error in the form of DynamoDB."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}
    return response(status, json.dumps(body).encode(), "Content-Type: application/x-amz-json-1.0")


def sample_alert(number: int, timestamp: str = "") -> Alert:
    """One of several alerts."""
    return replace(ALERT, id=f"price_move:A&B:{number}", timestamp=timestamp or str(number))


def sample_message(number: int, size: int = 10) -> QuarantineMessage:
    """One of several messages, with `size` bytes of content."""
    return QuarantineMessage(
        id=str(number),
        stream="quotes",
        shard="shard",
        sequence_number="1",
        partition_key="k",
        arrival="t",
        reason="r",
        content=b"x" * size,
    )
