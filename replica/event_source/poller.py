"""The threads of one shard: one reads, and as many as ParallelizationFactor batch and deliver."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple
from zlib import crc32

from aws_limits import LAMBDA_PAYLOAD_BYTES
from replica.event_source.batching import Gathered, Gathering
from replica.event_source.invoker import Clock, Deliverer
from replica.event_source.mapping import EventSourceMapping
from replica.event_source.progress import Progress
from replica.event_source.records import EventFormat, Record
from replica.event_source.shards import ShardCursor, StreamUnavailable


class _Tip(NamedTuple):
    """A read that left nothing behind: when it began, and how many records had been read with it."""

    began: float
    read_count: int


class _Backlog:
    """Records that were read for one batcher and wait for it, in order."""

    def __init__(self) -> None:
        self.records: deque[Gathered] = deque()
        self._size = 0

    def append(self, gathered: Gathered) -> None:
        self.records.append(gathered)
        self._size += gathered.size

    def move_to(self, gathering: Gathering, now: float) -> None:
        while self.records and gathering.offer(self.records[0], now):
            self._size -= self.records.popleft().size

    def holds_a_batch(self, batch_size: int) -> bool:
        return len(self.records) >= batch_size or self._size >= LAMBDA_PAYLOAD_BYTES


class ShardPoller:
    """Processes one shard, from its cursor's position to its end or until `stop` is set.

    Records of one partition key go to one batcher, which has one batch under way at a time: "If you increase the number
    of concurrent batches per shard, Lambda still ensures in-order processing at the partition-key level"
    (docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html). `moved` is called after each step forward, `at_end` when
    it has ended.
    """

    def __init__(
        self,
        shard_id: str,
        cursor: ShardCursor,
        mapping: EventSourceMapping,
        event_format: EventFormat,
        deliverer: Deliverer,
        *,
        stop: threading.Event,
        pause: Callable[[float], bool],
        backoff: Callable[[int], float],
        poll_interval_seconds: float,
        clock: Clock,
        moved: Callable[[], None],
        at_end: Callable[[], None],
    ) -> None:
        self.shard_id = shard_id
        self._cursor = cursor
        self._mapping = mapping
        self._format = event_format
        self._deliverer = deliverer
        self._stop = stop
        self._pause = pause
        self._backoff = backoff
        self._poll_interval_seconds = poll_interval_seconds
        self._clock = clock
        self._moved = moved
        self._at_end = at_end
        self._changed = threading.Condition()
        self._backlogs = [_Backlog() for _ in range(mapping.parallelization_factor)]
        self._progress = Progress()
        self._tip: _Tip | None = None
        self._closed = False

    def loops(self) -> tuple[Callable[[], None], ...]:
        """What is to be run, each in a thread of its own."""
        return (self._read, *((lambda backlog=backlog: self._batch(backlog)) for backlog in self._backlogs))

    def wake(self) -> None:
        """Let the threads see that `stop` is set."""
        with self._changed:
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        """The shard is closed, and each of its records processed or discarded."""
        with self._changed:
            return self._closed and self._progress.finished_count == self._progress.read_count

    @property
    def checkpoint(self) -> str | None:
        """The sequence number up to which each record is processed or discarded; None before the first."""
        with self._changed:
            return self._progress.checkpoint

    @property
    def finished_count(self) -> int:
        """How many of the first records read are processed or discarded without a gap."""
        with self._changed:
            return self._progress.finished_count

    def read_count_since(self, time: float) -> int | None:
        """How many of the first records read include all put before a monotonic time; None while that is unknown."""
        with self._changed:
            if self._closed:
                return self._progress.read_count
            return self._tip.read_count if self._tip is not None and self._tip.began >= time else None

    def idle(self) -> bool:
        """Whether the last read left nothing behind, and nothing that was read is unfinished."""
        with self._changed:
            at_tip = self._closed or (self._tip is not None and self._tip.read_count == self._progress.read_count)
            return at_tip and self._progress.finished_count == self._progress.read_count

    def _read(self) -> None:
        failures = 0
        while not self._stop.is_set() and not self._closed:
            self._await_room()
            began = self._clock.monotonic()
            try:
                page = self._cursor.read(self._clock.now())
            except StreamUnavailable:
                failures += 1
                self._pause(self._backoff(failures))
                continue
            failures = 0
            gathered = [Gathered(record, self._format.size(record)) for record in page.records]
            with self._changed:
                for each in gathered:
                    self._progress.read(each.record)
                    self._backlog_of(each.record).append(each)
                if page.at_tip:
                    self._tip = _Tip(began, self._progress.read_count)
                self._closed = page.next_iterator is None
                self._changed.notify_all()
            self._tell()
            if page.at_tip:
                self._pause(self._poll_interval_seconds)

    def _await_room(self) -> None:
        """Wait while a batcher has a whole batch to come: reading on would only fill the memory."""
        batch_size = self._mapping.batch_size
        with self._changed:
            self._changed.wait_for(
                lambda: self._stop.is_set() or not any(each.holds_a_batch(batch_size) for each in self._backlogs)
            )

    def _backlog_of(self, record: Record) -> _Backlog:
        return self._backlogs[crc32(record.partition_key.encode()) % len(self._backlogs)]

    def _batch(self, backlog: _Backlog) -> None:
        while batch := self._gather(backlog):
            self._deliverer.deliver(batch, self._finish)

    def _gather(self, backlog: _Backlog) -> tuple[Record, ...]:
        """The next batch, once it is whole; empty at the end of the shard or when `stop` is set."""
        gathering = Gathering(self._mapping.batch_size, self._mapping.maximum_batching_window_in_seconds)
        with self._changed:
            while not self._stop.is_set():
                now = self._clock.monotonic()
                backlog.move_to(gathering, now)
                seconds = gathering.seconds_left(now)
                if seconds == 0 or self._closed:  # what a closed shard holds is all there
                    self._changed.notify_all()  # there may be room
                    return gathering.records
                self._changed.wait(seconds)
        return ()

    def _finish(self, records: tuple[Record, ...]) -> None:
        with self._changed:
            self._progress.finish(records)
        self._tell()

    def _tell(self) -> None:
        self._moved()
        if self.ended:
            self._at_end()
