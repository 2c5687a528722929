"""What the processor needs of the world, one small protocol each. Every call is idempotent by its keys.

The adapters are named after their technology (`dynamodb`, `s3`, `sns`, `sqs`); `memory` holds the fakes. All of them
raise `Unavailable` when AWS did not do, or not do all of, what was asked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from lane_state import Alert, LaneState
from processor_lambda.rows import Row


class Stored(msgspec.Struct, frozen=True):
    """A lane as it was read."""

    state: LaneState
    published: int
    """The lane's published mark: publications up to this number have been shown."""


class QuarantineMessage(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A refused line, or a record's too many or too long ones: what, where from, why. The body of an SQS message."""

    id: str
    """The same however often it is sent: `stream/shard/sequence number/line`, without the line for a whole record."""
    stream: str
    shard: str
    sequence_number: str
    partition_key: str
    arrival: str
    line: int | None = None
    """Its place in the record, from 1; None where `object` holds several."""
    reason: str
    content: bytes | None = None
    """Its bytes (base64 in JSON); None where `object` holds them."""
    lines: int = 1
    """How many lines this message stands for."""
    object: str | None = None
    """Where in S3 the lines lie, each as a message like this one: gzip JSON Lines at `s3://bucket/key`."""


class RefusedAlert(NamedTuple):
    """An alert that can never be published, and why."""

    alert: Alert
    reason: str


class Archive(Protocol):
    """Objects in S3."""

    def put(self, key: str, body: bytes) -> str:
        """Write an object, over what may be there. Returns its `s3://` address."""


class Table(Protocol):
    """A table of rows."""

    def put(self, rows: Sequence[Row]) -> None:
        """Write rows, over what may be there. Of rows with one key the last counts."""


class BarTable(Table, Protocol):
    """The table of bars."""

    def before(self, symbol: str, minute: datetime, count: int) -> list[Row]:
        """A symbol's last rows before a minute, so many at the most, oldest first."""


class StateTable(Protocol):
    """The lanes' states."""

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        """Each lane as it is now (a strongly consistent read); a lane never seen is the empty state."""

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        """Put a lane's state on condition that its position is what was read. Raises `CommitConflict` if not.

        Returns the bytes that it takes.
        """

    def raise_mark(self, lane: str, published: int) -> None:
        """Raise a lane's published mark to a number; a mark that is higher stays."""


class Topic(Protocol):
    """The alerts' topic."""

    def publish(self, alerts: Sequence[Alert]) -> list[RefusedAlert]:
        """Publish alerts, each under its id, at least once. Returns those that can never be taken."""


class Quarantine(Protocol):
    """The queue of what was refused."""

    def put(self, messages: Sequence[QuarantineMessage]) -> None:
        """Send messages; each arrives at least once."""
