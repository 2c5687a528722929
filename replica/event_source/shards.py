"""The shards of a stream: the port that reads them, and the order in which they start.

A `ShardReader` reads one shard. `polling` has the one of shared polling, `fan_out` the one of enhanced fan-out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from replica.event_source.records import Record


class StreamUnavailable(Exception):
    """Kinesis throttled the request, failed or was out of reach. The caller reads again later."""


class IteratorExpired(Exception):
    """The shard iterator is older than five minutes. The caller gets a new one for the same position."""


class ShardGone(Exception):
    """The stream no longer has the shard, because its records have expired or the emulator dropped it."""


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """A shard, and the shards that it was split or merged from."""

    shard_id: str
    parents: tuple[str, ...] = ()


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where to start reading a shard, as GetShardIterator and SubscribeToShard take it."""

    type: Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP", "AFTER_SEQUENCE_NUMBER"]
    timestamp: datetime | None = None
    sequence_number: str | None = None


TRIM_HORIZON = Position(type="TRIM_HORIZON")


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one GetRecords request."""

    records: tuple[Record, ...] = ()
    next_iterator: str | None = None
    """None if the shard is closed and read to its end."""
    at_tip: bool = True
    """Whether the read reached the tip of the shard, so that no record was left (`MillisBehindLatest` is 0)."""


class PushedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a subscription, a `SubscribeToShardEvent`."""

    records: tuple[Record, ...] = ()
    continuation: str
    """The sequence number after which the next subscription goes on (`ContinuationSequenceNumber`)."""
    at_tip: bool = True
    """Whether no record was left when Kinesis made the event (`MillisBehindLatest` is 0)."""
    ended: bool = False
    """Whether the shard is closed and read to its end (the event has `ChildShards`)."""


class Subscription(Protocol):
    """A subscription to one shard, for one thread. Another thread may call `interrupt`."""

    def next_event(self) -> PushedEvent | None:
        """Wait for the next event. None if the subscription has expired. Raises `StreamUnavailable` if it broke."""

    def interrupt(self) -> None:
        """End the wait of `next_event` in another thread, now or when it begins. The subscription is then useless."""

    def close(self) -> None:
        """Close the connection."""


class StreamReader(Protocol):
    """Reads one stream. Called from several threads at once. Every method may raise `StreamUnavailable`."""

    def list_shards(self) -> tuple[Shard, ...]:
        """All shards that still hold records, including closed ones."""

    def shard_iterator(self, shard_id: str, position: Position) -> str:
        """An iterator that starts at a position."""

    def get_records(self, shard_id: str, iterator: str) -> Page:
        """The next records, in order. May also raise `IteratorExpired`."""

    def subscribe(self, consumer_arn: str, shard_id: str, position: Position) -> Subscription:
        """A new subscription that starts at a position. May also raise `ShardGone`."""


class ShardRead(msgspec.Struct, frozen=True, kw_only=True):
    """What one read of a shard gave."""

    records: tuple[Record, ...] = ()
    complete_to: float | None = None
    """Every record that was put before this time, in monotonic seconds, has been read. None if some may be left."""
    ended: bool = False
    """Whether the shard is closed and read to its end."""


class ShardReader(Protocol):
    """Reads a shard in order, each record once. For one thread, except for `interrupt`."""

    def open(self) -> None:
        """Fix the position. With LATEST, the reader reads what is put from now on. Raises `StreamUnavailable`."""

    def read(self) -> ShardRead:
        """The next records; waits for them. Raises `StreamUnavailable`; the next read goes on at the same position."""

    def interrupt(self) -> None:
        """End a read that waits, now or when it begins. The next read asks Kinesis anew."""

    def close(self) -> None:
        """Read no more."""


def shards_to_start(shards: Iterable[Shard], started: Collection[str], ended: Collection[str]) -> tuple[Shard, ...]:
    """The listed shards whose reading can start now. A child starts only after its parents are processed to their end.

    Resharding moves partition keys from a parent to a child, so this keeps the order of each key. A parent that is
    neither listed nor started has expired.
    """
    listed = tuple(shards)
    unfinished = ({shard.shard_id for shard in listed} | set(started)) - set(ended)
    return tuple(shard for shard in listed if shard.shard_id not in started and unfinished.isdisjoint(shard.parents))
