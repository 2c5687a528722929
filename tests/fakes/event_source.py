"""Stand-ins in memory for what the replica's event source talks to: the stream, the function and the destination."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from replica.event_source import (
    DestinationUnavailable,
    Invocation,
    NotInvoked,
    Page,
    Position,
    PushedEvent,
    Record,
    Shard,
    StreamUnavailable,
)

SUBSCRIPTION_SECONDS = 300.0
"""How long a subscription lasts."""


class FakeStream:
    """A Kinesis data stream in memory. It can split shards, and raises the errors in `faults`.

    Sequence numbers start at 8. The third one has two digits, so code that compares them as text gets the order wrong.
    A page and an event hold at most `page_size` records. `clock` has the monotonic seconds by which subscriptions
    expire. A call of `subscribe` within `takeover_seconds` of a successful one for the same consumer and shard is
    refused. On AWS, these are 5 seconds.
    """

    def __init__(
        self,
        *shard_ids: str,
        page_size: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
        takeover_seconds: float = 0.0,
        subscription: type[FakeSubscription] | None = None,
    ) -> None:
        self.faults: list[Exception] = []
        """The errors that the next reads raise, one each: calls of `get_records`, or waits for an event."""
        self.read: list[Record] = []
        """The records that were read or pushed so far."""
        self.subscriptions: list[tuple[float, Position]] = []
        """When each successful call of `subscribe` was, and its position."""
        self._page_size = page_size
        self._clock = clock
        self._takeover_seconds = takeover_seconds
        self._subscription = subscription or FakeSubscription
        self._live: dict[tuple[str, str], FakeSubscription] = {}
        self._lock = threading.Condition()
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
            self._lock.notify_all()
            return record

    def split(self, shard_id: str, *children: str) -> None:
        """Close a shard, and open its children."""
        with self._lock:
            self._closed.add(shard_id)
            for child in children:
                self._shards[child] = Shard(shard_id=child, parents=(shard_id,))
                self._records[child] = []
            self._lock.notify_all()

    def tick(self) -> None:
        """Let the subscriptions see that `clock` or `faults` have changed."""
        with self._lock:
            self._lock.notify_all()

    def list_shards(self) -> tuple[Shard, ...]:
        """All shards."""
        with self._lock:
            return tuple(self._shards.values())

    def shard_iterator(self, shard_id: str, position: Position) -> str:
        """The index of the next record, as text."""
        with self._lock:
            return str(self._index(shard_id, position))

    def get_records(self, shard_id: str, iterator: str) -> Page:
        """The next page. Raises the next fault, if there is one."""
        with self._lock:
            if self.faults:
                raise self.faults.pop(0)
            start, records = int(iterator), self._records[shard_id]
            end = min(start + self._page_size, len(records))
            at_tip = end == len(records)
            self.read += records[start:end]
            return Page(
                records=tuple(records[start:end]),
                next_iterator=None if at_tip and shard_id in self._closed else str(end),
                at_tip=at_tip,
            )

    def subscribe(self, consumer_arn: str, shard_id: str, position: Position) -> FakeSubscription:
        """A new subscription, which takes over from an earlier one of the same consumer and shard."""
        with self._lock:
            key, now = (consumer_arn, shard_id), self._clock()
            earlier = self._live.get(key)
            if earlier is not None and now - earlier.started_at < self._takeover_seconds:
                raise StreamUnavailable("ResourceInUseException")
            self.subscriptions.append((now, position))
            self._live[key] = self._subscription(self, key, self._index(shard_id, position), now)
            self._lock.notify_all()
            return self._live[key]

    def _index(self, shard_id: str, position: Position) -> int:
        records = self._records[shard_id]
        match position.type:
            case "TRIM_HORIZON":
                return 0
            case "LATEST":
                return len(records)
            case "AT_TIMESTAMP":
                timestamp = position.timestamp or datetime.max.replace(tzinfo=UTC)
                return sum(record.approximate_arrival_timestamp < timestamp for record in records)
            case "AFTER_SEQUENCE_NUMBER":
                return sum(record.position <= int(position.sequence_number or 0) for record in records)


class FakeSubscription:
    """A subscription to a shard of a `FakeStream`. Its first event comes at once, as AWS's and MiniStack's does."""

    def __init__(self, stream: FakeStream, key: tuple[str, str], index: int, started_at: float) -> None:
        self.started_at = started_at
        self._stream = stream
        self._key = key
        self._index = index
        self._has_answered = False
        self._interrupted = False

    def next_event(self) -> PushedEvent | None:
        """The next event, when there is one. Raises the next fault of the stream, if there is one."""
        stream, (_, shard_id) = self._stream, self._key
        records, expires_at = stream._records[shard_id], self.started_at + SUBSCRIPTION_SECONDS
        with stream._lock:
            stream._lock.wait_for(
                lambda: (
                    not self._has_answered
                    or self._interrupted
                    or stream.faults
                    or stream._live[self._key] is not self
                    or stream._clock() >= expires_at
                    or len(records) > self._index
                    or shard_id in stream._closed
                )
            )
            if self._interrupted:
                raise StreamUnavailable("interrupted")
            if stream.faults:
                raise stream.faults.pop(0)
            if stream._live[self._key] is not self:
                raise StreamUnavailable("ResourceInUseException")
            if stream._clock() >= expires_at:
                return None
            return self._event(records, closed=shard_id in stream._closed)

    def _event(self, records: list[Record], *, closed: bool) -> PushedEvent:
        batch = records[self._index : self._index + self._stream._page_size]
        self._index += len(batch)
        self._has_answered = True
        self._stream.read += batch
        at_tip = self._index == len(records)
        return PushedEvent(
            records=tuple(batch),
            continuation=records[self._index - 1].sequence_number if self._index else "0",
            at_tip=at_tip,
            ended=at_tip and closed,
        )

    def interrupt(self) -> None:
        """End the wait for an event."""
        with self._stream._lock:
            self._interrupted = True
            self._stream._lock.notify_all()

    def close(self) -> None:
        """Do nothing: an earlier subscription counts by the time at which it began."""


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
