from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from replica.event_source import EventSourceMapping, Record

MakeMapping = Callable[..., EventSourceMapping]
MakeRecords = Callable[..., tuple[Record, ...]]

_RESPONSE = {
    "UUID": "11111111-2222-3333-4444-555555555555",
    "EventSourceArn": "arn:aws:kinesis:eu-west-1:123456789012:stream/quotes",
    "FunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:processor",
    "StartingPosition": "TRIM_HORIZON",
}


@pytest.fixture(scope="session")
def make_mapping() -> MakeMapping:
    """A mapping from a response, with some of its properties replaced."""

    def make(**properties: object) -> EventSourceMapping:
        return EventSourceMapping.from_response(_RESPONSE | properties)

    return make


@pytest.fixture(scope="session")
def make_records() -> MakeRecords:
    """Records of one shard, a second apart; their sequence numbers begin at 8, so text sorts them wrongly."""

    def make(count: int, *, first: datetime = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)) -> tuple[Record, ...]:
        return tuple(
            Record(
                shard_id="shardId-000000000000",
                sequence_number=str(8 + index),
                partition_key="key",
                data=f"record {index}".encode(),
                approximate_arrival_timestamp=first + timedelta(seconds=index),
            )
            for index in range(count)
        )

    return make
