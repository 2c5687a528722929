"""Kinesis records, and the event in which the function receives them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from replica.event_source.mapping import EventSourceMapping

_encode = msgspec.json.Encoder().encode


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a shard."""

    shard_id: str
    sequence_number: str
    """A decimal integer without a fixed length. Compare `position`, never the text."""
    partition_key: str
    data: bytes
    approximate_arrival_timestamp: datetime

    @property
    def position(self) -> int:
        """The sequence number as an integer, which orders the records of a shard."""
        return int(self.sequence_number)


class _Kinesis(msgspec.Struct, rename="camel"):
    kinesis_schema_version: str
    partition_key: str
    sequence_number: str
    data: bytes  # msgspec encodes bytes as base64, as Lambda does
    approximate_arrival_timestamp: float


class _EventRecord(msgspec.Struct, rename="camel"):
    kinesis: _Kinesis
    event_source: str
    event_version: str
    event_id: str = msgspec.field(name="eventID")
    event_name: str
    invoke_identity_arn: str
    aws_region: str
    event_source_arn: str = msgspec.field(name="eventSourceARN")


class EventFormat:
    """Writes the event of an invocation, in the form of the example under "Using Lambda with Kinesis".

    Source: docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html. Arrival times are seconds since the epoch, with
    milliseconds. `eventSourceARN` is the mapping's EventSourceArn. AWS's example has a stream's ARN, and AWS does not
    say what it is if the mapping names a consumer, so a function should accept the ARNs of both.
    """

    def __init__(self, mapping: EventSourceMapping, invoke_identity_arn: str) -> None:
        self._mapping = mapping
        self._invoke_identity_arn = invoke_identity_arn

    def payload(self, records: Iterable[Record]) -> bytes:
        """The event as JSON, with the records in the given order."""
        return b'{"Records":[' + b",".join(map(self._entry, records)) + b"]}"

    def size(self, record: Record) -> int:
        """The number of bytes that a record adds to the payload of an invocation."""
        return len(self._entry(record)) + 1

    def _entry(self, record: Record) -> bytes:
        return _encode(
            _EventRecord(
                kinesis=_Kinesis(
                    kinesis_schema_version="1.0",
                    partition_key=record.partition_key,
                    sequence_number=record.sequence_number,
                    data=record.data,
                    approximate_arrival_timestamp=round(record.approximate_arrival_timestamp.timestamp(), 3),
                ),
                event_source="aws:kinesis",
                event_version="1.0",
                event_id=f"{record.shard_id}:{record.sequence_number}",
                event_name="aws:kinesis:record",
                invoke_identity_arn=self._invoke_identity_arn,
                aws_region=self._mapping.region,
                event_source_arn=self._mapping.event_source_arn,
            )
        )
