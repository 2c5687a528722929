"""What to do with a batch, decided without doing it: finish, retry, bisect or discard.

An `Attempt` is records that are to be sent together. `expire` is asked before it is sent, `decide` after; the attempts
that remain take its place, in order, so that no record overtakes another one of its batch.
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
"""Why records are discarded, in the words of the invocation record's `requestContext`."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """Records of one shard, in order, that are to be sent together, and what became of them so far."""

    records: tuple[Record, ...]
    retries: int = 0
    """How often these very records were sent again: what MaximumRetryAttempts limits."""
    invocations: int = 0
    """How often these records were sent, in whatever company."""
    last: Invocation | None = None
    """The answer to the last of those."""


class Discarded(msgspec.Struct, frozen=True, kw_only=True):
    """Records that are given up, for the on-failure destination to receive."""

    records: tuple[Record, ...]
    condition: Condition
    invocations: int
    last: Invocation | None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of an attempt's records: each is in exactly one of the three, in the order of the shard."""

    finished: tuple[Record, ...] = ()
    discarded: Discarded | None = None
    remaining: tuple[Attempt, ...] = ()


def expire(attempt: Attempt, now: datetime, mapping: EventSourceMapping) -> Decision:
    """Give up what is older than MaximumRecordAgeInSeconds; the rest remains, as one attempt or none.

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
    """What becomes of records that the function was invoked with.

    One that could not be invoked decides nothing: the attempt stays as it is, and only age ends it.
    """
    attempt = replace(attempt, invocations=attempt.invocations + 1, last=invocation)
    match outcome:
        case Succeeded():
            return Decision(finished=attempt.records)
        case PartlyFailed(index) if index > 0:
            # "Lambda then retries all records starting from that checkpoint", later successes included, and with
            # BisectBatchOnFunctionError "the batch is bisected at the returned sequence number and Lambda retries only
            # the remaining records" (services-kinesis-batchfailurereporting.html): the same, for both are a cut.
            rest = replace(attempt, records=attempt.records[index:], retries=0)
            return Decision(finished=attempt.records[:index], remaining=(rest,))
        case PartlyFailed() | Failed():
            return _failed(attempt, mapping)


def _failed(attempt: Attempt, mapping: EventSourceMapping) -> Decision:
    """Bisect, else retry, else discard. A batch that is reported from its first record on has failed too.

    BisectBatchOnFunctionError "splits a failed batch into two smaller batches, isolating bad records and avoiding
    timeouts. Splitting batches doesn't consume the retry quota" (kinesis-on-failure-destination.html). So the quota is
    one of the same records sent again, and is whole for what a cut or a split left of them.
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
