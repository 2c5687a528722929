"""A Kinesis data stream in memory: the fake of `StreamReader`."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from replica.event_source.records import Record
from replica.event_source.shards import Page, Position, Shard


class FakeStream:
    """Keeps records per shard, can be split, and fails as told.

    Sequence numbers begin at 8: the third one has two digits, so whoever compares them as text gets the order wrong.
    """

    def __init__(self, *shard_ids: str, page_size: int = 10_000) -> None:
        self.faults: list[Exception] = []
        """Raised by the next calls of `get_records`, one each."""
        self._page_size = page_size
        self._lock = threading.Lock()
        self._shards = {shard_id: Shard(shard_id=shard_id) for shard_id in shard_ids or ("shardId-000000000000",)}
        self._records: dict[str, list[Record]] = {shard_id: [] for shard_id in self._shards}
        self._closed: set[str] = set()
        self._next_number = 8

    def put(
        self, partition_key: str, data: bytes = b"", *, shard_id: str | None = None, arrival: datetime | None = None
    ) -> Record:
        """Append a record, to the first open shard unless told."""
        with self._lock:
            if shard_id is None:
                shard_id = next(name for name in self._shards if name not in self._closed)
            record = Record(
                shard_id=shard_id,
                sequence_number=str(self._next_number),
                partition_key=partition_key,
                data=data,
                approximate_arrival_timestamp=arrival or datetime.now(UTC),
            )
            self._next_number += 1
            self._records[shard_id].append(record)
            return record

    def split(self, shard_id: str, *children: str) -> None:
        """Close a shard; its children take over."""
        with self._lock:
            self._closed.add(shard_id)
            for child in children:
                self._shards[child] = Shard(shard_id=child, parents=(shard_id,))
                self._records[child] = []

    def list_shards(self) -> tuple[Shard, ...]:
        """All shards."""
        with self._lock:
            return tuple(self._shards.values())

    def shard_iterator(self, shard_id: str, position: Position) -> str:
        """The index of the next record, as text."""
        with self._lock:
            records = self._records[shard_id]
            match position.type:
                case "TRIM_HORIZON":
                    index = 0
                case "LATEST":
                    index = len(records)
                case "AT_TIMESTAMP":
                    timestamp = position.timestamp or datetime.max.replace(tzinfo=UTC)
                    index = sum(record.approximate_arrival_timestamp < timestamp for record in records)
                case "AFTER_SEQUENCE_NUMBER":
                    index = sum(record.position <= int(position.sequence_number or 0) for record in records)
            return str(index)

    def get_records(self, shard_id: str, iterator: str) -> Page:
        """A page, or the next fault."""
        with self._lock:
            if self.faults:
                raise self.faults.pop(0)
            start, records = int(iterator), self._records[shard_id]
            end = min(start + self._page_size, len(records))
            at_tip = end == len(records)
            return Page(
                records=tuple(records[start:end]),
                next_iterator=None if at_tip and shard_id in self._closed else str(end),
                at_tip=at_tip,
            )
