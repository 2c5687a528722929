from __future__ import annotations

from datetime import UTC, datetime, timedelta

from replica.event_source import Invocation
from replica.event_source.delivery import Attempt, Decision, Discarded, decide, expire
from replica.event_source.response import Failed, PartlyFailed, Succeeded
from tests.support.event_source import make_mapping, make_records

_OK = Invocation(request_id="ok")
_ERROR = Invocation(request_id="error", function_error="Unhandled")
_FAILED = Failed("function error: Unhandled")


def test_success_finishes_the_batch() -> None:
    records = make_records(3)

    assert decide(Attempt(records=records), _OK, Succeeded(), make_mapping()) == Decision(finished=records)


def test_everything_from_the_lowest_failure_on_is_sent_again() -> None:
    records = make_records(5)
    for bisect in (False, True):
        mapping = make_mapping(BisectBatchOnFunctionError=bisect, MaximumRetryAttempts=0)

        assert decide(Attempt(records=records, retries=0), _OK, PartlyFailed(2), mapping) == Decision(
            finished=records[:2], remaining=(Attempt(records=records[2:], invocations=1, last=_OK),)
        )


def test_a_failed_batch_is_retried_whole() -> None:
    records = make_records(3)

    assert decide(Attempt(records=records), _ERROR, _FAILED, make_mapping(MaximumRetryAttempts=1)) == Decision(
        remaining=(Attempt(records=records, retries=1, invocations=1, last=_ERROR),)
    )


def test_a_batch_reported_from_its_first_record_on_has_failed() -> None:
    attempt = Attempt(records=make_records(3))

    assert decide(attempt, _OK, PartlyFailed(0), make_mapping()) == decide(attempt, _OK, _FAILED, make_mapping())


def test_exhausted_retries_discard_the_batch() -> None:
    records = make_records(3)
    attempt = Attempt(records=records, retries=2, invocations=2, last=_ERROR)

    assert decide(attempt, _ERROR, _FAILED, make_mapping(MaximumRetryAttempts=2)) == Decision(
        discarded=Discarded(records=records, condition="RetryAttemptsExhausted", invocations=3, last=_ERROR)
    )


def test_retries_without_a_limit_never_discard() -> None:
    attempt = Attempt(records=make_records(1), retries=1_000_000)

    assert decide(attempt, _ERROR, _FAILED, make_mapping()).remaining[0].retries == 1_000_001


def test_bisection_splits_in_order_and_uses_up_no_retry() -> None:
    records = make_records(5)
    mapping = make_mapping(BisectBatchOnFunctionError=True, MaximumRetryAttempts=0)

    assert decide(Attempt(records=records), _ERROR, _FAILED, mapping) == Decision(
        remaining=(
            Attempt(records=records[:2], invocations=1, last=_ERROR),
            Attempt(records=records[2:], invocations=1, last=_ERROR),
        )
    )


def test_a_single_record_cannot_be_split_and_uses_up_its_retries() -> None:
    mapping = make_mapping(BisectBatchOnFunctionError=True, MaximumRetryAttempts=1)
    (retried,) = decide(Attempt(records=make_records(1)), _ERROR, _FAILED, mapping).remaining

    assert retried.retries == 1
    discarded = decide(retried, _ERROR, _FAILED, mapping).discarded
    assert discarded is not None
    assert discarded.condition == "RetryAttemptsExhausted"


def test_records_past_the_maximum_age_are_discarded_and_the_others_remain() -> None:
    first = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
    records = make_records(4, first=first)
    mapping = make_mapping(MaximumRecordAgeInSeconds=60)

    decision = expire(Attempt(records=records, retries=1), first + timedelta(seconds=62), mapping)

    assert decision == Decision(
        discarded=Discarded(records=records[:2], condition="RecordAgeExceeded", invocations=0, last=None),
        remaining=(Attempt(records=records[2:], retries=1),),
    )
    assert expire(Attempt(records=records), first + timedelta(seconds=100), mapping).remaining == ()


def test_without_a_maximum_age_no_record_is_too_old() -> None:
    attempt = Attempt(records=make_records(2))

    assert expire(attempt, datetime(2100, 1, 1, tzinfo=UTC), make_mapping()) == Decision(remaining=(attempt,))
