"""What the commands need of AWS, as one small protocol for each service.

The adapters are named after their service: `kinesis`, `sqs`, `s3` and `dynamodb`. Every call raises `Unavailable` if
AWS did not do what was asked, and `WrongUsage` if the resource does not exist or the credentials are not valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from processor_lambda.rows import Row


class Packet(msgspec.Struct, frozen=True):
    """A record to put on the stream."""

    partition_key: str
    data: bytes


class ReceivedMessage(msgspec.Struct, frozen=True):
    """A message that was received from a queue. It is hidden from all other readers for a while."""

    id: str
    receipt: str
    body: str


class Stream(Protocol):
    """A Kinesis data stream."""

    def put(self, packets: Sequence[Packet]) -> list[str | None]:
        """Send one PutRecords request. Returns one entry for each packet: None if Kinesis acknowledged it.

        The entry of a packet that was not stored, and that may be sent again, is the reason. An error that sending
        again does not cure is raised.
        """


class Queue(Protocol):
    """An SQS queue. Its messages are in no order, and no reader can look at a message without hiding it."""

    def receive(self) -> list[ReceivedMessage]:
        """Receive some visible messages, and hide them. An empty list means that there seem to be no more."""

    def release(self, messages: Sequence[ReceivedMessage]) -> None:
        """Make messages visible to all readers again."""

    def delete(self, messages: Sequence[ReceivedMessage]) -> None:
        """Delete messages."""

    def count(self) -> int:
        """The approximate number of visible messages."""


class ObjectStore(Protocol):
    """Objects of S3. Each has an address, `s3://bucket/key`."""

    def list(self, prefix: str, *, written_since: datetime | None = None) -> Iterator[str]:
        """The addresses that start with a prefix, in alphabetical order.

        With `written_since`, it may leave out objects that were written before that time.
        """

    def get(self, address: str) -> bytes:
        """The bytes of an object. Raises `NotFound`."""

    def move(self, address: str, to: str) -> None:
        """Copy an object, replacing what is at the target, then delete it. Does nothing if it was moved before."""


class Table(Protocol):
    """A DynamoDB table."""

    def put(self, rows: Sequence[Row]) -> None:
        """Write rows. A row replaces the stored row with the same key."""


class BarTable(Table, Protocol):
    """The table of bars. Reads are consistent: they return every row that was written before."""

    def before(self, symbol: str, minute: datetime, count: int) -> list[Row]:
        """The last rows of minutes of a symbol before a minute, at most `count`, oldest first."""

    def between(self, symbol: str, start: datetime, end: datetime) -> list[Row]:
        """The rows of minutes of a symbol from the minute `start` up to but not including `end`, oldest first."""
