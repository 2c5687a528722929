"""What Lambda hands over: the records of one shard, taken apart and judged by when and where they arrived."""

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
    """A Kinesis record as it reached the function."""

    stream: str
    shard: str
    """`shardId-000000000000`."""
    sequence_number: int
    """A number of up to 56 digits: as text it does not sort."""
    partition_key: str
    arrival: datetime
    """When Kinesis received it, aware UTC."""
    data: bytes


class ParsedRecord(msgspec.Struct, frozen=True):
    """A record taken apart. Every line of it is in exactly one of the two."""

    record: Record
    good: tuple[GoodLine, ...]
    refused: tuple[BadLine, ...]

    @property
    def lines(self) -> list[Line]:
        """What the good lines say, in their order."""
        return [good.line for good in self.good]


def records_of(event: Mapping[str, Any]) -> tuple[Record, ...]:
    """The records of a Kinesis event, in its order."""
    return tuple(
        Record(
            stream=entry["eventSourceARN"].rpartition("/")[2],
            shard=entry["eventID"].rpartition(":")[0],
            sequence_number=int(entry["kinesis"]["sequenceNumber"]),
            partition_key=entry["kinesis"]["partitionKey"],
            arrival=datetime.fromtimestamp(entry["kinesis"]["approximateArrivalTimestamp"], UTC),
            data=b64decode(entry["kinesis"]["data"]),
        )
        for entry in event["Records"]
    )


def parse_record(record: Record) -> ParsedRecord:
    """Take a record apart and refuse the lines that do not belong.

    Those are lines that do not decode, that are not of the record's lane, or that run ahead of its arrival: a quote
    from the future would freeze its symbol, a heartbeat its lane.
    """
    decoded = decode(record.data, max_lines=MAX_LINES)
    lanes = lanes_of_key(record.partition_key)
    latest = record.arrival + MAX_CLOCK_SKEW
    good: list[GoodLine] = []
    refused = list(decoded.bad)
    for line in decoded.good:
        problem = _misfit(line.line, record.partition_key, lanes, latest)
        if problem is None:
            good.append(line)
        else:
            refused.append(BadLine(line.number, line.content, problem))
    return ParsedRecord(record, tuple(good), tuple(sorted(refused, key=lambda line: line.number)))


def _misfit(line: Line, key: str, lanes: int | None, latest: datetime) -> str | None:
    if lanes is None:
        return f"partition key {key!r:.60} is not that of a lane"
    if isinstance(line, Heartbeat):
        lane, time = line.lane, max(line.clock, line.complete_to or line.clock)
    else:
        lane, time = _key_of(line.symbol, lanes), line.event_time
    if lane != key:
        return f"a line of {lane} in a record of {key}"
    if time > latest:
        return f"a time over {MAX_CLOCK_SKEW} ahead of the record's arrival"
    return None


@lru_cache(maxsize=16_384)
def _key_of(symbol: str, lanes: int) -> str:
    return partition_key(lane_of(symbol, lanes), lanes)
