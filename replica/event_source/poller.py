"""The threads of one shard: one reads records, and ParallelizationFactor threads build batches and invoke."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple
from zlib import crc32

from aws_limits import LAMBDA_PAYLOAD_BYTES
from replica.event_source.batching import BatchBuilder, SizedRecord
from replica.event_source.invoker import Clock, Invoker
from replica.event_source.mapping import EventSourceMapping
from replica.event_source.progress import Progress
from replica.event_source.records import EventFormat, Record
from replica.event_source.shards import ShardReader, StreamUnavailable


class _TipRead(NamedTuple):
    """A read that reached the tip of the shard."""

    complete_to: float
    """Every record that was put before this time, in monotonic seconds, had been read."""
    read_count: int
    """The number of records read from the shard so far, including this read's."""


class _Backlog:
    """The records that were read and wait for one batcher, in order."""

    def __init__(self) -> None:
        self.records: deque[SizedRecord] = deque()
        self._size = 0

    def append(self, sized: SizedRecord) -> None:
        self.records.append(sized)
        self._size += sized.size

    def move_to(self, builder: BatchBuilder, now: float) -> None:
        while self.records and builder.offer(self.records[0], now):
            self._size -= self.records.popleft().size

    def holds_a_batch(self, batch_size: int) -> bool:
        return len(self.records) >= batch_size or self._size >= LAMBDA_PAYLOAD_BYTES


class ShardPoller:
    """Processes one shard, from its reader's position to the end of the shard or until `stop` is set.

    All records of a partition key go to the same batcher, which has one batch in progress at a time: "If you increase
    the number of concurrent batches per shard, Lambda still ensures in-order processing at the partition-key level"
    (docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html). `on_progress` is called after each read and each finished
    batch, and `on_end` when the shard has ended.
    """

    def __init__(
        self,
        shard_id: str,
        reader: ShardReader,
        mapping: EventSourceMapping,
        event_format: EventFormat,
        invoker: Invoker,
        *,
        stop: threading.Event,
        pause: Callable[[float], bool],
        backoff: Callable[[int], float],
        clock: Clock,
        on_progress: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        self.shard_id = shard_id
        self._reader = reader
        self._mapping = mapping
        self._format = event_format
        self._invoker = invoker
        self._stop = stop
        self._pause = pause
        self._backoff = backoff
        self._clock = clock
        self._on_progress = on_progress
        self._on_end = on_end
        self._changed = threading.Condition()
        self._backlogs = [_Backlog() for _ in range(mapping.parallelization_factor)]
        self._progress = Progress()
        self._tip_read: _TipRead | None = None
        self._closed = False

    def loops(self) -> tuple[Callable[[], None], ...]:
        """The functions to run, each in a thread of its own."""
        return (self._read, *((lambda backlog=backlog: self._batch(backlog)) for backlog in self._backlogs))

    def wake(self) -> None:
        """Wake the waiting threads, so that they see that `stop` is set."""
        with self._changed:
            self._changed.notify_all()
        self._reader.interrupt()

    def look_for_tip(self) -> None:
        """Make the reader find out anew whether it has reached the tip, for `read_count_since`."""
        self._reader.interrupt()

    @property
    def ended(self) -> bool:
        """Whether the shard is closed and all its records are processed or discarded."""
        with self._changed:
            return self._closed and self._progress.finished_count == self._progress.read_count

    @property
    def checkpoint(self) -> str | None:
        """The sequence number up to which every record is processed or discarded; None at the start."""
        with self._changed:
            return self._progress.checkpoint

    @property
    def finished_count(self) -> int:
        """The number of records before the first one that is neither processed nor discarded."""
        with self._changed:
            return self._progress.finished_count

    def read_count_since(self, time: float) -> int | None:
        """The number of records read when every record put before `time`, in monotonic seconds, was among them.

        None before this is known.
        """
        with self._changed:
            if self._closed:
                return self._progress.read_count
            tip_read = self._tip_read
            return tip_read.read_count if tip_read is not None and tip_read.complete_to >= time else None

    def idle(self) -> bool:
        """Whether the last read reached the tip, and every record that was read is processed or discarded."""
        with self._changed:
            tip_read = self._tip_read
            at_tip = self._closed or (tip_read is not None and tip_read.read_count == self._progress.read_count)
            return at_tip and self._progress.finished_count == self._progress.read_count

    def _read(self) -> None:
        failures = 0
        while not self._stop.is_set() and not self._closed:
            self._await_room()
            try:
                read = self._reader.read()
            except StreamUnavailable:
                failures += 1
                self._pause(self._backoff(failures))
                continue
            failures = 0
            records = [SizedRecord(record, self._format.size(record)) for record in read.records]
            with self._changed:
                for sized in records:
                    self._progress.read(sized.record)
                    self._backlog_of(sized.record).append(sized)
                if read.complete_to is not None:
                    self._tip_read = _TipRead(read.complete_to, self._progress.read_count)
                self._closed = read.ended
                self._changed.notify_all()
            self._notify()
        self._reader.close()

    def _await_room(self) -> None:
        """Wait while a backlog holds a whole batch. Reading more records would only fill the memory."""
        batch_size = self._mapping.batch_size
        with self._changed:
            self._changed.wait_for(
                lambda: self._stop.is_set() or not any(backlog.holds_a_batch(batch_size) for backlog in self._backlogs)
            )

    def _backlog_of(self, record: Record) -> _Backlog:
        return self._backlogs[crc32(record.partition_key.encode()) % len(self._backlogs)]

    def _batch(self, backlog: _Backlog) -> None:
        while batch := self._next_batch(backlog):
            self._invoker.deliver(batch, self._finish)

    def _next_batch(self, backlog: _Backlog) -> tuple[Record, ...]:
        """Wait for the next complete batch. Returns an empty one at the end of the shard or when `stop` is set."""
        builder = BatchBuilder(self._mapping.batch_size, self._mapping.maximum_batching_window_in_seconds)
        with self._changed:
            while not self._stop.is_set():
                now = self._clock.monotonic()
                backlog.move_to(builder, now)
                seconds = builder.seconds_left(now)
                if seconds == 0 or self._closed:  # no more records follow in a closed shard
                    self._changed.notify_all()  # the backlog may have room now
                    return builder.records
                self._changed.wait(seconds)
        return ()

    def _finish(self, records: tuple[Record, ...]) -> None:
        with self._changed:
            self._progress.finish(records)
        self._notify()

    def _notify(self) -> None:
        self._on_progress()
        if self.ended:
            self._on_end()
