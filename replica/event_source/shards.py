"""The shards of a stream: the port that reads them, a cursor over one shard, and the order in which shards start."""

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


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """A shard, and the shards that it was split or merged from."""

    shard_id: str
    parents: tuple[str, ...] = ()


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where to start reading a shard, as GetShardIterator takes it."""

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


class StreamReader(Protocol):
    """Reads one stream. Called from several threads at once. Every method may raise `StreamUnavailable`."""

    def list_shards(self) -> tuple[Shard, ...]:
        """All shards that still hold records, including closed ones."""

    def shard_iterator(self, shard_id: str, position: Position) -> str:
        """An iterator that starts at a position."""

    def get_records(self, shard_id: str, iterator: str) -> Page:
        """The next records, in order. May also raise `IteratorExpired`."""


class ShardCursor:
    """Reads a shard in order, each record once, also when an iterator expires. For one thread at a time."""

    def __init__(self, stream: StreamReader, shard_id: str, position: Position) -> None:
        self._stream = stream
        self._shard_id = shard_id
        self._position = position
        self._iterator: str | None = None

    def open(self, now: datetime) -> None:
        """Fix the position. With LATEST, the cursor reads what is put from now on. Raises `StreamUnavailable`."""
        self._iterator = self._stream.shard_iterator(self._shard_id, self._position)
        if self._position.type == "LATEST":
            # If this iterator expired before it returned a record, a new one at LATEST would skip records.
            self._position = Position(type="AT_TIMESTAMP", timestamp=now)

    def read(self, now: datetime) -> Page:
        """The next records. Raises `StreamUnavailable`; the next read then continues at the same position."""
        if self._iterator is None:
            self.open(now)
        try:
            page = self._stream.get_records(self._shard_id, self._iterator or "")
        except IteratorExpired:
            self._iterator = None
            return Page(next_iterator="", at_tip=False)
        self._iterator = page.next_iterator
        if page.records:
            self._position = Position(type="AFTER_SEQUENCE_NUMBER", sequence_number=page.records[-1].sequence_number)
        return page


def shards_to_start(shards: Iterable[Shard], started: Collection[str], ended: Collection[str]) -> tuple[Shard, ...]:
    """The listed shards whose reading can start now. A child starts only after its parents are processed to their end.

    Resharding moves partition keys from a parent to a child, so this keeps the order of each key. A parent that is
    neither listed nor started has expired.
    """
    listed = tuple(shards)
    unfinished = ({shard.shard_id for shard in listed} | set(started)) - set(ended)
    return tuple(shard for shard in listed if shard.shard_id not in started and unfinished.isdisjoint(shard.parents))
