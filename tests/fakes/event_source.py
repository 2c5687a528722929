"""Stand-ins in memory for what the replica's event source talks to: the stream, the function and the destination."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from replica.event_source import DestinationUnavailable, Invocation, NotInvoked, Page, Position, Record, Shard


class FakeStream:
    """A Kinesis data stream in memory. It can split shards, and raises the errors in `faults`.

    Sequence numbers start at 8. The third one has two digits, so code that compares them as text gets the order wrong.
    """

    def __init__(self, *shard_ids: str, page_size: int = 10_000) -> None:
        self.faults: list[Exception] = []
        """The errors that the next calls of `get_records` raise, one each."""
        self._page_size = page_size
        self._lock = threading.Lock()
        self._shards = {shard_id: Shard(shard_id=shard_id) for shard_id in shard_ids or ("shardId-000000000000",)}
        self._records: dict[str, list[Record]] = {shard_id: [] for shard_id in self._shards}
        self._closed: set[str] = set()
        self._next_number = 8

    def put(
        self, partition_key: str, data: bytes = b"", *, shard_id: str | None = None, arrival: datetime | None = None
    ) -> Record:
        """Append a record to a shard, by default to the first open one."""
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
        """Close a shard, and open its children."""
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
        """The next page. Raises the next fault, if there is one."""
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


class FakeFunction:
    """Runs a handler in this process. What the handler raises is a function error, except for `NotInvoked`."""

    def __init__(self, handler: Callable[[dict[str, list[dict[str, object]]]], object]) -> None:
        self._handler = handler

    def invoke(self, payload: bytes) -> Invocation:
        """Call the handler with the decoded event."""
        try:
            answer = self._handler(json.loads(payload))
        except NotInvoked:
            raise
        except Exception as error:  # noqa: BLE001  (as the Lambda runtime does)
            message = {"errorMessage": str(error), "errorType": type(error).__name__}
            return Invocation(request_id="fake", payload=json.dumps(message).encode(), function_error="Unhandled")
        return Invocation(request_id="fake", payload=json.dumps(answer).encode())


class FakeDestination:
    """Keeps what was put, with its key. The first `failures` calls raise `DestinationUnavailable`."""

    def __init__(self, *, takes_payload: bool = True, failures: int = 0) -> None:
        self.takes_payload = takes_payload
        self.puts: list[tuple[str, bytes]] = []
        self._failures = failures

    def put(self, key: str, invocation_record: bytes) -> None:
        """Keep the document, or fail."""
        if self._failures > 0:
            self._failures -= 1
            raise DestinationUnavailable("the fake destination fails")
        self.puts.append((key, invocation_record))
