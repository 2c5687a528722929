"""Lambda's event source without threads and time: what becomes of a batch is decided by the replica's own rules."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from replica.event_source.delivery import Attempt, Decision, decide, expire
from replica.event_source.function import Invocation as Answer
from replica.event_source.mapping import UNLIMITED, EventSourceMapping
from replica.event_source.records import Record as KinesisRecord
from replica.event_source.shards import shards_to_start
from tests.model.lambda_model import Director, Function
from tests.model.streams import Stream

SECONDS_OF_A_TRY = 6


class EventSource:
    """Delivers a stream to a function, batch by batch."""

    def __init__(self, stream: Stream, mapping: EventSourceMapping, function: Function, director: Director) -> None:
        self._stream, self._mapping, self._function, self._director = stream, mapping, function, director
        self._begun: list[str] = []
        self._ended: list[str] = []
        self._taken: dict[tuple[str, int], int] = {}
        self._attempts: dict[tuple[str, int], list[Attempt]] = {}
        self.discarded: list[KinesisRecord] = []
        """What lies at the on-failure destination."""

    def drain(self) -> None:
        """Deliver all that is in the stream."""
        while True:
            self._begun += [
                shard.shard_id for shard in shards_to_start(self._stream.shards, set(self._begun), set(self._ended))
            ]
            batchers = [
                (shard, n)
                for shard in self._begun
                if shard not in self._ended
                for n in range(self._mapping.parallelization_factor)
            ]
            waiting = [batcher for batcher in batchers if self._attempts.get(batcher) or self._waiting(batcher)]
            if waiting:
                self._step(self._director.shard(waiting))
            ended = {shard for shard, _ in batchers if shard in self._stream.closed} - {
                shard for shard, n in batchers if self._attempts.get((shard, n)) or self._waiting((shard, n))
            }
            self._ended += sorted(ended)
            if not waiting and not ended:
                return

    def _waiting(self, batcher: tuple[str, int]) -> Sequence[KinesisRecord]:
        shard, n = batcher
        factor = self._mapping.parallelization_factor
        records = self._stream.records[shard]
        if factor > 1:
            records = [record for record in records if crc32(record.partition_key.encode()) % factor == n]
        return records[self._taken.get(batcher, 0) :]

    def _step(self, batcher: tuple[str, int]) -> None:
        attempts = self._attempts.setdefault(batcher, [])
        if not attempts:
            waiting = self._waiting(batcher)
            size = self._director.batch_size(len(waiting))
            self._taken[batcher] = self._taken.get(batcher, 0) + size
            attempts.append(Attempt(records=tuple(waiting[:size])))
        if self._mapping.maximum_record_age_in_seconds != UNLIMITED:
            self._stream.seconds += SECONDS_OF_A_TRY  # else time does not matter
        expired = self._settle(expire(attempts.pop(0), self._stream.now, self._mapping))
        for attempt in expired.remaining:
            outcome = self._function.invoke(attempt.records)
            decision = self._settle(decide(attempt, Answer(request_id="model"), outcome, self._mapping))
            attempts[:0] = decision.remaining

    def _settle(self, decision: Decision) -> Decision:
        if decision.discarded is not None:
            records = decision.discarded.records
            self.discarded += records
            self._function.trace.append(f"{len(records)} records are discarded: {decision.discarded.condition}")
        return decision
