"""A stream's shards: the port that reads them, a cursor that survives expiry, and in which order they are read."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from replica.event_source.records import Record


class StreamUnavailable(Exception):
    """Kinesis throttled, failed or was out of reach: read again later."""


class IteratorExpired(Exception):
    """A shard iterator was kept for over five minutes: get a new one for the same position."""


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """A shard, and the ones it was split or merged from."""

    shard_id: str
    parents: tuple[str, ...] = ()


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where reading of a shard starts, in the terms of GetShardIterator."""

    type: Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP", "AFTER_SEQUENCE_NUMBER"]
    timestamp: datetime | None = None
    sequence_number: str | None = None


TRIM_HORIZON = Position(type="TRIM_HORIZON")


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What one GetRecords brought."""

    records: tuple[Record, ...] = ()
    next_iterator: str | None = None
    """None when the shard is closed and read to its end."""
    at_tip: bool = True
    """Nothing was left in the shard when it was read (`MillisBehindLatest` is 0)."""


class StreamReader(Protocol):
    """Reads one stream. Called from several threads at once; every method raises `StreamUnavailable`."""

    def list_shards(self) -> tuple[Shard, ...]:
        """All shards that still hold records, closed ones too."""

    def shard_iterator(self, shard_id: str, position: Position) -> str:
        """An iterator to start reading with."""

    def get_records(self, shard_id: str, iterator: str) -> Page:
        """The next records in order. Raises `IteratorExpired` too."""


class ShardCursor:
    """Reads a shard once through, in order, whatever becomes of its iterators. For one thread at a time."""

    def __init__(self, stream: StreamReader, shard_id: str, position: Position) -> None:
        self._stream = stream
        self._shard_id = shard_id
        self._position = position
        self._iterator: str | None = None

    def open(self, now: datetime) -> None:
        """Fix the position: at LATEST, what is put from now on is read. Raises `StreamUnavailable`."""
        self._iterator = self._stream.shard_iterator(self._shard_id, self._position)
        if self._position.type == "LATEST":
            # Should this iterator expire before it brought a record, LATEST would skip what came in between.
            self._position = Position(type="AT_TIMESTAMP", timestamp=now)

    def read(self, now: datetime) -> Page:
        """The next records. Raises `StreamUnavailable`, after which nothing is skipped."""
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


def readable(shards: Iterable[Shard], begun: Collection[str], ended: Collection[str]) -> tuple[Shard, ...]:
    """The shards to begin now: a child only once its parents are processed to their end.

    Order per partition key demands it, for a reshard moves keys from parent to child. A parent that is neither listed
    nor being read has expired.
    """
    listed = tuple(shards)
    unfinished = ({shard.shard_id for shard in listed} | set(begun)) - set(ended)
    return tuple(shard for shard in listed if shard.shard_id not in begun and unfinished.isdisjoint(shard.parents))
