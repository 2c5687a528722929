"""Packing: lines become rows of the outbox, rows become packets, and packets become requests. Pure.

The limits are those of Kinesis: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from aws_limits import (
    KINESIS_PAYLOAD_UNIT_BYTES,
    KINESIS_REQUEST_BYTES,
    KINESIS_REQUEST_RECORDS,
)

PACKET_BYTES = KINESIS_PAYLOAD_UNIT_BYTES
"""The most bytes of a packet. A larger one would cost a second payload unit."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """Whole lines of one lane, at most a packet of them. The journal stores rows."""

    id: int
    """Rises within a lane in the order of acceptance. 0 until the journal has assigned it."""
    lane: int
    lines: bytes
    quotes: int
    """How many of the lines are quotes. The others are heartbeats and corporate actions."""
    accepted_at: float
    """When the lines were accepted, in seconds since the epoch (`Clock.steady`)."""
    available_at: tuple[float, ...] = ()
    """The earliest time at which each quote was available, in seconds since the epoch: event time plus declared delay.

    Freshness is measured from it. Rows of recordings and rows that were read from the journal do not have it.
    """


class Packet(msgspec.Struct, frozen=True):
    """One Kinesis record: whole rows from the head of a lane."""

    lane: int
    partition_key: str
    rows: tuple[Row, ...]

    @property
    def data(self) -> bytes:
        """The data of the record."""
        return b"".join(row.lines for row in self.rows)

    @property
    def size(self) -> int:
        """The bytes of the record as Kinesis counts them: data and partition key."""
        return sum(len(row.lines) for row in self.rows) + len(self.partition_key)


def chunks(lines: Sequence[bytes]) -> list[tuple[bytes, int]]:
    """The contents of rows for lines of one lane: each chunk holds whole lines, in their order, and their number.

    A chunk is at most a packet, unless a single line is longer.
    """
    if len(joined := b"".join(lines)) <= PACKET_BYTES:  # the usual case
        return [(joined, len(lines))] if lines else []
    found: list[tuple[bytes, int]] = []
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        if chunk and size + len(line) > PACKET_BYTES:
            found.append((b"".join(chunk), len(chunk)))
            chunk, size = [], 0
        chunk.append(line)
        size += len(line)
    if chunk:
        found.append((b"".join(chunk), len(chunk)))
    return found


def packet_length(rows: Iterable[Row]) -> int:
    """How many rows from the head of a lane make its next packet: at least one, and no more than a packet holds."""
    size = count = 0
    for row in rows:
        size += len(row.lines)
        if count and size > PACKET_BYTES:
            break
        count += 1
    return count


def fits(packets: Sequence[Packet], size: int, packet: Packet) -> bool:
    """Whether another packet fits into a request that holds some packets of `size` bytes together."""
    return len(packets) < KINESIS_REQUEST_RECORDS and size + packet.size <= KINESIS_REQUEST_BYTES
