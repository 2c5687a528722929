"""Runs an event source mapping: discovers the shards of its stream, polls each, starts and stops."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

from replica.errors import ReplicaError
from replica.event_source.delivery import Discarded
from replica.event_source.destination import Destination
from replica.event_source.fan_out import ShardSubscriber
from replica.event_source.function import Function
from replica.event_source.invoker import Clock, InvocationReport, Invoker
from replica.event_source.mapping import EventSourceMapping
from replica.event_source.poller import ShardPoller
from replica.event_source.polling import ShardCursor
from replica.event_source.records import EventFormat
from replica.event_source.shards import (
    TRIM_HORIZON,
    Position,
    ShardReader,
    StreamReader,
    StreamUnavailable,
    shards_to_start,
)

POLL_INTERVAL_SECONDS = 1.0
"""Lambda polls "at a base rate of once per second" (docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html)."""

DISCOVERY_INTERVAL_SECONDS = 10.0
"""How often to look for new shards. When a shard ends, the runner looks at once."""

_FIRST_BACKOFF_SECONDS = 0.1
_LONGEST_BACKOFF_SECONDS = 30.0


class RunnerFailed(ReplicaError):
    """A thread of the runner died of the error in `__cause__`. The other threads have stopped."""


def _ignore(_: object) -> None:
    """Do nothing. The default callback."""


def full_jitter(failures: int, uniform: Callable[[float, float], float] = random.uniform) -> float:
    """A random pause: up to 0.1 s after the first failure, doubling up to 30 s.

    AWS does not say how long Lambda waits.
    """
    return uniform(0, min(_LONGEST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2 ** min(failures - 1, 16)))


class EventSourceRunner:
    """Delivers a stream's records to a function as Lambda does for the mapping. A context manager that starts once.

    `on_batch` and `on_discard` are called from several threads at once, and must not raise. `backoff(n)` is the number
    of seconds to wait after the n-th failure in a row. Waits take real time, whatever `clock` says.
    """

    def __init__(
        self,
        mapping: EventSourceMapping,
        stream: StreamReader,
        function: Function,
        destination: Destination | None,
        *,
        invoke_identity_arn: str,
        on_batch: Callable[[InvocationReport], None] = _ignore,
        on_discard: Callable[[Discarded], None] = _ignore,
        poll_interval_seconds: float = POLL_INTERVAL_SECONDS,
        discovery_interval_seconds: float = DISCOVERY_INTERVAL_SECONDS,
        backoff: Callable[[int], float] = full_jitter,
        new_uuid: Callable[[], str] = lambda: str(uuid.uuid4()),
        clock: Clock | None = None,
    ) -> None:
        self.mapping = mapping
        self._stream = stream
        self._poll_interval_seconds = poll_interval_seconds
        self._discovery_interval_seconds = discovery_interval_seconds
        self._backoff = backoff
        self._clock = clock or Clock()
        self._stop = threading.Event()
        self._discover_now = threading.Event()
        self._progressed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._pollers: dict[str, ShardPoller] = {}
        self._listed_at: float | None = None
        self._waiting_shards = 0
        self._failure: BaseException | None = None
        event_format = EventFormat(mapping, invoke_identity_arn)
        invoker = Invoker(
            mapping,
            event_format,
            function,
            destination,
            pause=self._stop.wait,
            backoff=backoff,
            new_uuid=new_uuid,
            clock=self._clock,
            on_batch=on_batch,
            on_discard=on_discard,
        )
        self._poller = partial(
            ShardPoller,
            mapping=mapping,
            event_format=event_format,
            invoker=invoker,
            stop=self._stop,
            pause=self._stop.wait,
            backoff=backoff,
            clock=self._clock,
            on_progress=self._on_progress,
            on_end=self._discover_now.set,
        )

    def start(self) -> None:
        """Start the threads. On return, every shard's position is fixed.

        With LATEST, the runner delivers every record that is put after the return. Raises `StreamUnavailable`.
        """
        if self._threads:
            raise RuntimeError("a runner starts once")
        position = Position(type=self.mapping.starting_position, timestamp=self.mapping.starting_position_timestamp)
        shards = self._stream.list_shards()
        readers = {shard.shard_id: self._reader(shard.shard_id, position) for shard in shards}
        for reader in readers.values():
            reader.open()
        self._spawn("discovery", partial(self._discover, readers))

    def stop(self, timeout: float = 30.0) -> None:
        """Stop reading and retrying, and wait for the invocations in progress. Unfinished records stay unfinished.

        Raises TimeoutError if a thread is still busy after `timeout` seconds, and `RunnerFailed` if a thread died. A
        second call has no effect.
        """
        self._halt()
        deadline = self._clock.monotonic() + timeout
        for thread in self._threads:  # the first thread discovers shards: after its end, no thread is added
            thread.join(max(0.0, deadline - self._clock.monotonic()))
            if thread.is_alive():
                raise TimeoutError(f"{thread.name} did not stop in {timeout} s")
        self._raise_failure()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            self._halt()  # somebody waits for the end, and an invocation may take a minute
        else:
            self.stop()

    @property
    def checkpoints(self) -> dict[str, str]:
        """For each shard, the sequence number up to which every record is processed or discarded."""
        with self._progressed:
            pollers = tuple(self._pollers.values())
        reached = {poller.shard_id: poller.checkpoint for poller in pollers}
        return {shard_id: number for shard_id, number in reached.items() if number is not None}

    def caught_up(self) -> bool:
        """Whether all records up to the last read of each shard are processed or discarded.

        Records that were put after these reads do not count. `wait_until_caught_up` reads again.
        """
        self._raise_failure()
        with self._progressed:
            return (
                self._listed_at is not None
                and not self._waiting_shards
                and all(map(ShardPoller.idle, self._pollers.values()))
            )

    def wait_until_caught_up(self, timeout: float) -> bool:
        """Wait until every record put before this call is processed or discarded.

        Returns False after `timeout` seconds. Records that are put later do not prolong the wait. Raises
        `RunnerFailed`.
        """
        called_at = self._clock.monotonic()
        targets: dict[str, int | None] = {}
        self._discover_now.set()
        with self._progressed:
            caught_up = self._progressed.wait_for(
                lambda: self._failure is not None or self._has_caught_up(called_at, targets), timeout
            )
        self._raise_failure()
        return caught_up

    def _has_caught_up(self, since: float, targets: dict[str, int | None]) -> bool:
        if self._listed_at is None or self._listed_at < since or self._waiting_shards:
            return False
        caught_up = True
        for poller in self._pollers.values():
            if poller.shard_id not in targets:
                poller.look_for_tip()
            count = targets.get(poller.shard_id)
            if count is None:
                count = targets[poller.shard_id] = poller.read_count_since(since)
            caught_up &= count is not None and poller.finished_count >= count
        return caught_up

    def _reader(self, shard_id: str, position: Position) -> ShardReader:
        if self.mapping.consumer_arn is not None:
            return ShardSubscriber(self._stream, self.mapping.consumer_arn, shard_id, position, clock=self._clock)
        return ShardCursor(
            self._stream,
            shard_id,
            position,
            clock=self._clock,
            pause=self._stop.wait,
            interval_seconds=self._poll_interval_seconds,
        )

    def _discover(self, readers: dict[str, ShardReader]) -> None:
        """Start a poller for each shard, children after their parents. New shards are read whole."""
        failures = 0
        while not self._stop.is_set():
            self._discover_now.clear()
            listed_at = self._clock.monotonic()
            try:
                shards = self._stream.list_shards()
            except StreamUnavailable:
                failures += 1
                self._stop.wait(self._backoff(failures))
                continue
            failures = 0
            ended = {poller.shard_id for poller in self._pollers.values() if poller.ended}
            for shard in shards_to_start(shards, self._pollers, ended):
                reader = readers.pop(shard.shard_id, None) or self._reader(shard.shard_id, TRIM_HORIZON)
                poller = self._poller(shard.shard_id, reader)
                with self._progressed:
                    self._pollers[shard.shard_id] = poller
                for loop in poller.loops():
                    self._spawn(shard.shard_id, loop)
            with self._progressed:
                self._listed_at = listed_at
                self._waiting_shards = sum(shard.shard_id not in self._pollers for shard in shards)
                self._progressed.notify_all()
            self._discover_now.wait(self._discovery_interval_seconds)

    def _on_progress(self) -> None:
        with self._progressed:
            self._progressed.notify_all()

    def _spawn(self, name: str, loop: Callable[[], None]) -> None:
        thread = threading.Thread(target=self._guard, args=(loop,), name=f"event-source {name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _guard(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except BaseException as error:  # noqa: BLE001  (the end of a thread: the error is raised in the thread that waits or stops)
            self._failure = self._failure or error
            self._halt()

    def _halt(self) -> None:
        self._stop.set()
        self._discover_now.set()
        with self._progressed:
            pollers = tuple(self._pollers.values())
            self._progressed.notify_all()
        for poller in pollers:
            poller.wake()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise RunnerFailed(f"{type(self._failure).__name__}: {self._failure}") from self._failure
