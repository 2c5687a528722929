"""Lambda's event source without threads and without time. The rules of `replica.event_source` decide about batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from zlib import crc32

from replica.event_source.delivery import Attempt, Decision, decide, expire
from replica.event_source.function import Invocation as Answer
from replica.event_source.mapping import UNLIMITED, EventSourceMapping
from replica.event_source.records import Record as KinesisRecord
from replica.event_source.shards import shards_to_start
from tests.model.lambda_function import Function, Scheduler
from tests.model.streams import Stream

SECONDS_PER_ATTEMPT = 6
"""How much time a delivery takes if records can expire."""

Batcher = tuple[str, int]
"""A shard, and one of its parallel readers."""


class Source(Protocol):
    """What delivers a stream to a function: a mapping, or two at once."""

    discarded: list[KinesisRecord]

    def drain(self) -> None:
        """Deliver everything that is in the stream."""


class EventSource:
    """Delivers a stream to a function, batch by batch."""

    def __init__(self, stream: Stream, mapping: EventSourceMapping, function: Function, scheduler: Scheduler) -> None:
        self._stream, self._mapping, self._function, self._scheduler = stream, mapping, function, scheduler
        self._started: list[str] = []
        self._ended: list[str] = []
        self._delivered: dict[Batcher, int] = {}
        self._attempts: dict[Batcher, list[Attempt]] = {}
        self.discarded: list[KinesisRecord] = []
        """The records at the on-failure destination."""

    def drain(self) -> None:
        """Deliver everything that is in the stream."""
        while self.deliver():
            pass

    def deliver(self) -> bool:
        """Deliver one batch. Returns False if there is nothing to deliver."""
        self._started += [
            shard.shard_id for shard in shards_to_start(self._stream.shards, set(self._started), set(self._ended))
        ]
        batchers = [
            (shard, number)
            for shard in self._started
            if shard not in self._ended
            for number in range(self._mapping.parallelization_factor)
        ]
        waiting = [batcher for batcher in batchers if self._attempts.get(batcher) or self._undelivered(batcher)]
        if waiting:
            self._deliver_batch(self._scheduler.shard(waiting))
        ended = {shard for shard, _ in batchers if shard in self._stream.closed} - {
            batcher[0] for batcher in batchers if self._attempts.get(batcher) or self._undelivered(batcher)
        }
        self._ended += sorted(ended)
        return bool(waiting or ended)

    def _undelivered(self, batcher: Batcher) -> Sequence[KinesisRecord]:
        shard, number = batcher
        factor = self._mapping.parallelization_factor
        records = self._stream.records[shard]
        if factor > 1:
            records = [record for record in records if crc32(record.partition_key.encode()) % factor == number]
        return records[self._delivered.get(batcher, 0) :]

    def _deliver_batch(self, batcher: Batcher) -> None:
        attempts = self._attempts.setdefault(batcher, [])
        if not attempts:
            records = self._undelivered(batcher)
            size = self._scheduler.batch_size(len(records))
            self._delivered[batcher] = self._delivered.get(batcher, 0) + size
            attempts.append(Attempt(records=tuple(records[:size])))
        if self._mapping.maximum_record_age_in_seconds != UNLIMITED:
            self._stream.seconds += SECONDS_PER_ATTEMPT
        expired = self._apply(expire(attempts.pop(0), self._stream.now, self._mapping))
        for attempt in expired.remaining:
            outcome = self._function.invoke(attempt.records)
            decision = self._apply(decide(attempt, Answer(request_id="model"), outcome, self._mapping))
            attempts[:0] = decision.remaining

    def _apply(self, decision: Decision) -> Decision:
        if decision.discarded is not None:
            records = decision.discarded.records
            self.discarded += records
            self._function.trace.append(f"{len(records)} records are discarded: {decision.discarded.condition}")
        return decision
