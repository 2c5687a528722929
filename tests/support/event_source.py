"""Mappings and records for the tests of the replica's event source."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from replica.event_source import EventSourceMapping, Record

STREAM = "arn:aws:kinesis:eu-west-1:123456789012:stream/quotes"
CONSUMER = f"{STREAM}/consumer/processor:1764320000"

_RESPONSE = {
    "UUID": "11111111-2222-3333-4444-555555555555",
    "EventSourceArn": STREAM,
    "FunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:processor",
    "StartingPosition": "TRIM_HORIZON",
}
_FIRST_ARRIVAL = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


def make_mapping(**properties: object) -> EventSourceMapping:
    """The mapping of a GetEventSourceMapping response with some properties replaced."""
    return EventSourceMapping.from_response(_RESPONSE | properties)


def make_records(count: int, *, first: datetime = _FIRST_ARRIVAL) -> tuple[Record, ...]:
    """Records of one shard that arrive a second apart.

    Their sequence numbers start at 8, so code that compares them as text gets the order wrong.
    """
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
