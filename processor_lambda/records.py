"""Kinesis records as Lambda hands them over, and which of their lines are accepted. Pure."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from quotes import (
    MAX_CLOCK_SKEW,
    MAX_LINES,
    Action,
    BadLine,
    GoodLine,
    Heartbeat,
    Line,
    decode,
    lane_of,
    lanes_of_key,
    partition_key,
)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A Kinesis record as the function receives it."""

    stream: str
    shard: str
    """The shard's id, such as `shardId-000000000000`."""
    sequence_number: int
    """The number has up to 56 digits, so it does not sort as text."""
    partition_key: str
    arrival: datetime
    """When Kinesis received the record, in aware UTC."""
    data: bytes


class ParsedRecord(msgspec.Struct, frozen=True):
    """A record and its lines. Every line is either in `good` or in `refused`, in the order of the record."""

    record: Record
    good: tuple[GoodLine, ...]
    refused: tuple[BadLine, ...]

    @property
    def lines(self) -> list[Line]:
        """The decoded good lines, in the order of the record."""
        return [good.line for good in self.good]


def records_of(event: Mapping[str, Any]) -> tuple[Record, ...]:
    """The records of a Kinesis event, in the order of the event."""
    return tuple(
        Record(
            stream=entry["eventSourceARN"].split("/")[1],  # a consumer's ARN goes on after the stream's name
            shard=entry["eventID"].rpartition(":")[0],
            sequence_number=int(entry["kinesis"]["sequenceNumber"]),
            partition_key=entry["kinesis"]["partitionKey"],
            arrival=datetime.fromtimestamp(entry["kinesis"]["approximateArrivalTimestamp"], UTC),
            data=b64decode(entry["kinesis"]["data"]),
        )
        for entry in event["Records"]
    )


def parse_record(record: Record) -> ParsedRecord:
    """Decode the lines of a record.

    A line is refused if it cannot be decoded, if it belongs to another lane than the record, or if its time is ahead of
    the record's arrival. A quote from the future would block every later quote of its symbol, and a heartbeat from the
    future every quote of its lane. A corporate action may be sent before it takes effect, so its ingest time counts.
    """
    decoded = decode(record.data, max_lines=MAX_LINES)
    lanes = lanes_of_key(record.partition_key)
    latest = record.arrival + MAX_CLOCK_SKEW
    good: list[GoodLine] = []
    refused = list(decoded.bad)
    for line in decoded.good:
        problem = _problem_of(line.line, record.partition_key, lanes, latest)
        if problem is None:
            good.append(line)
        else:
            refused.append(BadLine(line.number, line.content, problem))
    return ParsedRecord(record, tuple(good), tuple(sorted(refused, key=lambda line: line.number)))


def _problem_of(line: Line, key: str, lanes: int | None, latest: datetime) -> str | None:
    if lanes is None:
        return f"partition key {key!r:.60} is not the key of a lane"
    if isinstance(line, Heartbeat):
        lane, time = line.lane, max(line.clock, line.complete_to or line.clock)
    else:
        lane = _key_of(line.symbol, lanes)
        time = line.ingest_time if isinstance(line, Action) else line.event_time
    if lane != key:
        return f"the line belongs to {lane}, but the record to {key}"
    if time > latest:
        return f"its time is more than {MAX_CLOCK_SKEW} ahead of the record's arrival"
    return None


@lru_cache(maxsize=16_384)
def _key_of(symbol: str, lanes: int) -> str:
    return partition_key(lane_of(symbol, lanes), lanes)
