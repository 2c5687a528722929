"""How lines become rows of the outbox, rows packets, and packets requests. Pure; the limits are Kinesis's own.

Limits: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
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
"""A fuller packet would cost a second payload unit."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """Whole lines of one lane, at most a packet: what the journal keeps and gives back."""

    id: int
    """Rises within a lane in the order of acceptance; 0 until the journal has given one."""
    lane: int
    lines: bytes
    quotes: int
    """How many of the lines are quotes; the others are heartbeats."""
    accepted_at: float
    """Seconds since the epoch."""
    due_at: tuple[float, ...] = ()
    """When each quote was due, in seconds since the epoch: its event time and the delay that it declares.

    Not in the journal, and none of a replay's: they are for measuring alone.
    """


class Packet(msgspec.Struct, frozen=True):
    """One Kinesis record: the whole rows at the head of a lane."""

    lane: int
    partition_key: str
    rows: tuple[Row, ...]

    @property
    def data(self) -> bytes:
        """The record's data."""
        return b"".join(row.lines for row in self.rows)

    @property
    def size(self) -> int:
        """Bytes as the limits count them."""
        return sum(len(row.lines) for row in self.rows) + len(self.partition_key)


def chunks(lines: Sequence[bytes]) -> list[tuple[bytes, int]]:
    """Lines of one lane joined into rows' contents, in their order: each at most a packet, with its count of lines.

    A line longer than a packet is a row of its own.
    """
    if len(whole := b"".join(lines)) <= PACKET_BYTES:  # as mostly
        return [(whole, len(lines))] if lines else []
    rows: list[tuple[bytes, int]] = []
    row: list[bytes] = []
    size = 0
    for line in lines:
        if row and size + len(line) > PACKET_BYTES:
            rows.append((b"".join(row), len(row)))
            row, size = [], 0
        row.append(line)
        size += len(line)
    if row:
        rows.append((b"".join(row), len(row)))
    return rows


def head(rows: Iterable[Row]) -> int:
    """How many rows at the head of a lane make its next packet: at least one, and no more than a packet holds."""
    size = count = 0
    for row in rows:
        size += len(row.lines)
        if count and size > PACKET_BYTES:
            break
        count += 1
    return count


def fits(packets: Sequence[Packet], size: int, packet: Packet) -> bool:
    """Whether a request of some packets, of `size` bytes together, takes another one."""
    return len(packets) < KINESIS_REQUEST_RECORDS and size + packet.size <= KINESIS_REQUEST_BYTES
