"""Decides what happens to the records of a batch: finish, retry, bisect or discard. Pure: `invoker` carries it out.

An `Attempt` holds the records of one invocation. `expire` decides before the invocation, `decide` after it. The
remaining attempts replace the attempt, in order, so no record overtakes another one of its batch.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec
from msgspec.structs import replace

from replica.event_source.function import Invocation
from replica.event_source.mapping import UNLIMITED, EventSourceMapping
from replica.event_source.records import Record
from replica.event_source.response import Failed, Outcome, PartlyFailed, Succeeded

Condition = Literal["RetryAttemptsExhausted", "RecordAgeExceeded"]
"""Why records were discarded, as the invocation record's `requestContext` spells it."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """Records of one shard, in order, to send in one invocation, and the history of sending them."""

    records: tuple[Record, ...]
    retries: int = 0
    """How often exactly these records were sent again. MaximumRetryAttempts limits it."""
    invocations: int = 0
    """How often these records were sent, alone or as a part of a larger batch."""
    last: Invocation | None = None
    """The answer to the last of these invocations; None before the first."""


class Discarded(msgspec.Struct, frozen=True, kw_only=True):
    """Discarded records, as the on-failure destination receives them."""

    records: tuple[Record, ...]
    condition: Condition
    invocations: int
    last: Invocation | None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to an attempt's records. Each record is in exactly one of the three fields, in the shard's order."""

    finished: tuple[Record, ...] = ()
    discarded: Discarded | None = None
    remaining: tuple[Attempt, ...] = ()


def expire(attempt: Attempt, now: datetime, mapping: EventSourceMapping) -> Decision:
    """Discard the records older than MaximumRecordAgeInSeconds. The others remain, as one attempt or none.

    "If a Lambda event source mapping is unable to invoke the function due to throttling or other issues, it retries
    until the records expire or exceed the maximum age configured on the event source mapping"
    (docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html).
    """
    if mapping.maximum_record_age_in_seconds == UNLIMITED:
        return Decision(remaining=(attempt,))
    oldest = now - timedelta(seconds=mapping.maximum_record_age_in_seconds)
    fresh = tuple(record for record in attempt.records if record.approximate_arrival_timestamp >= oldest)
    if len(fresh) == len(attempt.records):
        return Decision(remaining=(attempt,))
    stale = tuple(record for record in attempt.records if record.approximate_arrival_timestamp < oldest)
    return Decision(
        discarded=_discard(replace(attempt, records=stale), "RecordAgeExceeded"),
        remaining=(replace(attempt, records=fresh),) if fresh else (),
    )


def decide(attempt: Attempt, invocation: Invocation, outcome: Outcome, mapping: EventSourceMapping) -> Decision:
    """Decide about the records of an invocation by its outcome.

    It is not called if the function could not be invoked: then the attempt stays unchanged, and only age ends it.
    """
    attempt = replace(attempt, invocations=attempt.invocations + 1, last=invocation)
    match outcome:
        case Succeeded():
            return Decision(finished=attempt.records)
        case PartlyFailed(index) if index > 0:
            # "Lambda then retries all records starting from that checkpoint", later successes included. With
            # BisectBatchOnFunctionError "the batch is bisected at the returned sequence number and Lambda retries only
            # the remaining records" (services-kinesis-batchfailurereporting.html). Both are the same cut.
            rest = replace(attempt, records=attempt.records[index:], retries=0)
            return Decision(finished=attempt.records[:index], remaining=(rest,))
        case PartlyFailed() | Failed():
            return _failed(attempt, mapping)


def _failed(attempt: Attempt, mapping: EventSourceMapping) -> Decision:
    """Bisect the failed attempt if possible, else retry it, else discard it.

    A batch that is reported as failed from its first record on counts as failed as a whole.
    BisectBatchOnFunctionError "splits a failed batch into two smaller batches, isolating bad records and avoiding
    timeouts. Splitting batches doesn't consume the retry quota" (kinesis-on-failure-destination.html). So the quota
    limits how often the same records are sent, and starts at zero for each part of a batch.
    """
    size = len(attempt.records)
    if mapping.bisect_batch_on_function_error and size > 1:
        halves = attempt.records[: size // 2], attempt.records[size // 2 :]
        return Decision(remaining=tuple(replace(attempt, records=half, retries=0) for half in halves))
    if mapping.maximum_retry_attempts != UNLIMITED and attempt.retries >= mapping.maximum_retry_attempts:
        return Decision(discarded=_discard(attempt, "RetryAttemptsExhausted"))
    return Decision(remaining=(replace(attempt, retries=attempt.retries + 1),))


def _discard(attempt: Attempt, condition: Condition) -> Discarded:
    return Discarded(records=attempt.records, condition=condition, invocations=attempt.invocations, last=attempt.last)
