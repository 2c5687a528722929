"""The services that the processor needs, as protocols. Every call is idempotent by its keys.

The modules in `adapters` implement them on AWS. All of them raise `aws_requests.Unavailable` if AWS did not do all of
what was asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

import msgspec

from lane_state import Alert, Checkpoint, LaneState
from processor_lambda.rows import Row
from processor_lambda.stored_alerts import StoredAlert
from quotes import Quote


class Stored(msgspec.Struct, frozen=True):
    """A lane as it was read."""

    state: LaneState
    published: int
    """The lane's published mark: publications up to this number have been published."""
    checkpoint: Checkpoint | None = None
    """The checkpoint that was stored when it was read, which need not be when the state was."""


class QuarantineMessage(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The body of an SQS message. It is about one refused line, all refused lines of a record, or an alert."""

    id: str
    """`stream/shard/sequence number/line`, without the line for a whole record, or `stream/alert/id`. So a message that
    is sent again has the same id."""
    stream: str
    shard: str
    sequence_number: str
    partition_key: str
    arrival: str
    line: int | None = None
    """The line's number in the record, from 1. None if the message is about a whole record or an alert."""
    reason: str
    content: bytes | None = None
    """The bytes of the line or alert (JSON holds them in base64). None if they are in `object`."""
    lines: int = 1
    """How many lines this message stands for."""
    object: str | None = None
    """The address of a gzip JSON Lines object, `s3://bucket/key`. It has a message like this one for each line."""
    release: str = ""
    """The release of the function that refused it. Empty if an early release did, which did not know its name."""


class RefusedAlert(NamedTuple):
    """An alert that can never be published, and the reason."""

    alert: Alert
    reason: str


class RulesObject(NamedTuple):
    """The object with the alert rules, as it was read."""

    content: bytes
    etag: str
    version: str
    """S3's id of this version; empty in a bucket that keeps no versions."""


class NoRules(Exception):
    """The object with the alert rules does not exist. The message names it."""


class RulesStore(Protocol):
    """The object with the alert rules, and its earlier versions."""

    def newest(self, known: str) -> RulesObject | None:
        """The object; None if its ETag is still `known`. Raises `NoRules`."""

    def earlier(self) -> Iterator[RulesObject]:
        """The earlier versions, newest first, a bounded number of them."""


class Archive(Protocol):
    """The bucket of the archive."""

    def put(self, key: str, body: bytes) -> str:
        """Write or replace an object. Returns its `s3://` address."""


class QuoteTable(Protocol):
    """The table of quotes."""

    def put(self, quotes: Sequence[Quote], anomaly_percent: Decimal, ttl_days: int) -> None:
        """Write or replace the rows of quotes (`rows.quote_row`). Of quotes with the same key, the last is stored."""


class BarTable(Protocol):
    """The table of bars."""

    def put(self, rows: Sequence[Row]) -> None:
        """Write or replace rows. If several rows have the same key, the last one is stored."""

    def before(self, symbol: str, minute: datetime, count: int) -> list[Row]:
        """The last rows of minutes of a symbol before a minute, at most `count`, oldest first."""


class AlertTable(Protocol):
    """The table of published alerts."""

    def put(self, alerts: Sequence[StoredAlert]) -> None:
        """Write or replace alerts. If several have the same key, the last one is stored."""


class StateTable(Protocol):
    """The table of the lanes' states, published marks and checkpoints."""

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        """Read lanes with strong consistency. A lane that was never committed has the empty state.

        The items of a lane may be read at different times.
        """

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        """Store a lane's state if position and edits of the stored one are still those of `read`.

        Raises `CommitConflict` otherwise. Returns the size of the stored state in bytes.
        """

    def write_checkpoint(self, lane: str, checkpoint: Checkpoint, replaced: int) -> int:
        """Store a lane's checkpoint if the stored one has the number `replaced` (0: if there is none).

        Raises `CommitConflict` otherwise. Returns the size of the checkpoint in bytes.
        """

    def raise_mark(self, lane: str, published: int) -> None:
        """Raise a lane's published mark to a number. A mark that is higher stays as it is."""


class Topic(Protocol):
    """The topic of the alerts."""

    def publish(self, alerts: Sequence[Alert]) -> list[RefusedAlert]:
        """Publish each alert at least once. Returns those that can never be published."""


class Quarantine(Protocol):
    """The queue of refused lines and alerts."""

    def put(self, messages: Sequence[QuarantineMessage]) -> None:
        """Send messages. Each arrives at least once."""
