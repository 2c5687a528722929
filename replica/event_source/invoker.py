"""Invokes the function with the batches of a mapping, and carries out what `delivery` decides about their records."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import msgspec

from replica.event_source.delivery import Attempt, Decision, Discarded, decide, expire
from replica.event_source.destination import Destination, DestinationUnavailable, invocation_record, object_key
from replica.event_source.function import Function, NotInvoked
from replica.event_source.mapping import EventSourceMapping
from replica.event_source.records import EventFormat, Record
from replica.event_source.response import Failed, PartlyFailed, Succeeded, outcome_of

Result = Literal["success", "partial_failure", "failure", "not_invoked"]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """The clocks of an event source: monotonic seconds, and the time in UTC as an aware datetime."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = _utc_now


class InvocationReport(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to invoke the function, and its result."""

    shard_id: str
    records: tuple[Record, ...]
    started_at: datetime
    finished_at: datetime
    started_monotonic: float
    finished_monotonic: float
    result: Result
    detail: str | None
    """Why the invocation did not succeed; None if it did."""
    retries: int
    """How often exactly these records had been sent before."""
    finished: int
    """How many records are processed, counted from the first."""


class Invoker:
    """Invokes the function with the batches of one mapping. Thread-safe, since it keeps no state between batches.

    `pause(seconds)` waits, and returns True to give up; when the runner stops, it returns True at once. `backoff(n)` is
    the number of seconds to wait after the n-th failure in a row. The callbacks are called from several threads at once
    and must not raise: `on_batch` after each attempt to invoke the function, `on_discard` when discarded records are at
    their destination, or at once if the mapping has none.
    """

    def __init__(
        self,
        mapping: EventSourceMapping,
        event_format: EventFormat,
        function: Function,
        destination: Destination | None,
        *,
        pause: Callable[[float], bool],
        backoff: Callable[[int], float],
        new_uuid: Callable[[], str],
        clock: Clock,
        on_batch: Callable[[InvocationReport], None],
        on_discard: Callable[[Discarded], None],
    ) -> None:
        self._mapping = mapping
        self._format = event_format
        self._function = function
        self._destination = destination
        self._pause = pause
        self._backoff = backoff
        self._new_uuid = new_uuid
        self._clock = clock
        self._on_batch = on_batch
        self._on_discard = on_discard

    def deliver(self, batch: tuple[Record, ...], finish: Callable[[tuple[Record, ...]], None]) -> None:
        """Invoke the function until each record of a batch is processed or discarded.

        `finish` is called with records as soon as they are. The method returns early, with some records unfinished,
        only when `pause` says to give up. So unlimited retries, and puts to an unavailable destination, end when the
        runner stops.
        """
        attempts = [Attempt(records=batch)]
        failures = 0
        while attempts:
            expired = expire(attempts.pop(0), self._clock.now(), self._mapping)
            if not self._settle(expired, finish):
                return
            if not expired.remaining:
                continue
            (attempt,) = expired.remaining
            decision = self._invoke(attempt)
            if not self._settle(decision, finish):
                return
            attempts[:0] = decision.remaining
            failures = 0 if decision.finished or decision.discarded else failures + 1
            if attempts and self._pause(self._backoff(max(failures, 1)) if decision.remaining else 0):
                return

    def _invoke(self, attempt: Attempt) -> Decision:
        started_at, started = self._clock.now(), self._clock.monotonic()
        result: Result
        detail: str | None = None
        try:
            invocation = self._function.invoke(self._format.payload(attempt.records))
        except NotInvoked as error:
            # A throttled invocation is not a function error: it uses up no retry and causes no bisection.
            result, detail, decision = "not_invoked", str(error), Decision(remaining=(attempt,))
        else:
            outcome = outcome_of(
                invocation,
                attempt.records,
                reports_batch_item_failures=self._mapping.reports_batch_item_failures,
            )
            decision = decide(attempt, invocation, outcome, self._mapping)
            match outcome:
                case Succeeded():
                    result = "success"
                case PartlyFailed(index):
                    result, detail = "partial_failure", f"the function reported record {index} as failed"
                case Failed(reason):
                    result, detail = "failure", reason
        self._on_batch(
            InvocationReport(
                shard_id=attempt.records[0].shard_id,
                records=attempt.records,
                started_at=started_at,
                finished_at=self._clock.now(),
                started_monotonic=started,
                finished_monotonic=self._clock.monotonic(),
                result=result,
                detail=detail,
                retries=attempt.retries,
                finished=len(decision.finished),
            )
        )
        return decision

    def _settle(self, decision: Decision, finish: Callable[[tuple[Record, ...]], None]) -> bool:
        """Finish the decided records. Returns False if `pause` said to give up before the destination has them."""
        if decision.finished:
            finish(decision.finished)
        if decision.discarded is not None:
            if self._destination is not None and not self._put(self._destination, decision.discarded):
                return False
            self._on_discard(decision.discarded)
            finish(decision.discarded.records)
        return True

    def _put(self, destination: Destination, discarded: Discarded) -> bool:
        """Put the same invocation record under the same key until the destination accepts it.

        Returns False if `pause` said to give up before.
        """
        now = self._clock.now()
        key = object_key(self._mapping, discarded.records[0].shard_id, now, self._new_uuid())
        document = invocation_record(
            discarded,
            self._mapping,
            now=now,
            request_id=self._new_uuid(),
            payload=self._format.payload(discarded.records) if destination.takes_payload else None,
        )
        failures = 0
        while True:
            try:
                destination.put(key, document)
            except DestinationUnavailable:
                failures += 1
                if self._pause(self._backoff(failures)):
                    return False
            else:
                return True
