"""What the commands need of the world, one small protocol each.

The adapters are named after their technology (`kinesis`, `sqs`, `s3`, `dynamodb`); `memory` holds the fakes. All of
them raise `Unavailable` when AWS did not do what was asked, and `WrongUsage` when what is asked for cannot be there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from processor_lambda.rows import Row


class Packet(msgspec.Struct, frozen=True):
    """A record for the stream."""

    partition_key: str
    data: bytes


class Held(msgspec.Struct, frozen=True):
    """A message of a queue, hidden from everybody else for a while."""

    id: str
    receipt: str
    body: str


class Stream(Protocol):
    """Where packets go."""

    def put(self, packets: Sequence[Packet]) -> list[str | None]:
        """One PutRecords request. Says for each packet why it was not taken, or None where it was acknowledged.

        What failed in a way that may pass is told so; what never passes is raised.
        """


class Queue(Protocol):
    """A queue of messages, in no order. Whoever receives one hides it; nobody can only look."""

    def receive(self) -> list[Held]:
        """Some messages that nobody hides now, hidden from now on; none if there seem to be none."""

    def release(self, messages: Sequence[Held]) -> None:
        """Show them to everybody again."""

    def delete(self, messages: Sequence[Held]) -> None:
        """Delete them for good."""

    def count(self) -> int:
        """About how many there are that nobody hides."""


class Objects(Protocol):
    """Objects of S3, each under an address `s3://bucket/key`."""

    def list(self, prefix: str, *, written_since: datetime | None = None) -> Iterator[str]:
        """The addresses that begin so, in the order of their text; of those written since a time, and maybe others."""

    def get(self, address: str) -> bytes:
        """An object's bytes. Raises `NotThere`."""

    def move(self, address: str, to: str) -> None:
        """Copy an object, over what may be there, then delete it. Again is no error."""


class Rows(Protocol):
    """A table of rows."""

    def put(self, rows: Sequence[Row]) -> None:
        """Write rows, over what may be there."""


class Bars(Rows, Protocol):
    """The table of bars. What was put is seen at once."""

    def before(self, symbol: str, minute: datetime, count: int) -> list[Row]:
        """A symbol's last rows before a minute, so many at the most, oldest first."""

    def between(self, symbol: str, start: datetime, end: datetime) -> list[Row]:
        """A symbol's rows from a minute to before another, oldest first."""
