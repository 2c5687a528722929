from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from replica.event_source import (
    Clock,
    Destination,
    Discarded,
    EventSourceMapping,
    InvocationReport,
    NotInvoked,
    Record,
)
from replica.event_source.invoker import Invoker
from replica.event_source.records import EventFormat
from tests.fakes.event_source import FakeDestination, FakeFunction
from tests.support.event_source import make_mapping, make_records

_START = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
_REPORTING = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}
_BISECTING = {"BisectBatchOnFunctionError": True}


class Delivery:
    """An invoker whose pauses advance its clock, and a record of everything that it did."""

    def __init__(
        self,
        mapping: EventSourceMapping,
        handler: Callable[[list[int]], object],
        destination: Destination | None = None,
        *,
        give_up_after: int = 1000,
    ) -> None:
        self.sent: list[list[int]] = []
        self.finished: list[int] = []
        self.reports: list[InvocationReport] = []
        self.discarded: list[Discarded] = []
        self.pauses: list[float] = []
        self._handler = handler
        self._give_up_after = give_up_after
        self._seconds = 0.0
        self._invoker = Invoker(
            mapping,
            EventFormat(mapping, "arn:aws:iam::123456789012:role/processor"),
            FakeFunction(self._handle),
            destination,
            pause=self._pause,
            backoff=float,
            new_uuid=lambda: "uuid",
            clock=Clock(monotonic=lambda: self._seconds, now=lambda: _START + timedelta(seconds=self._seconds)),
            on_batch=self.reports.append,
            on_discard=self.discarded.append,
        )

    def deliver(self, records: tuple[Record, ...]) -> Delivery:
        self._invoker.deliver(records, lambda done: self.finished.extend(record.position for record in done))
        return self

    def _handle(self, event: dict[str, Any]) -> object:
        numbers = [int(record["kinesis"]["sequenceNumber"]) for record in event["Records"]]
        self.sent.append(numbers)
        return self._handler(numbers)

    def _pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        self._seconds += seconds
        return len(self.pauses) > self._give_up_after


def _fail_on(*bad: int) -> Callable[[list[int]], object]:
    def handler(numbers: list[int]) -> None:
        if set(bad) & set(numbers):
            raise ValueError("bad record")

    return handler


def _report(*bad: int) -> Callable[[list[int]], object]:
    return lambda numbers: {"batchItemFailures": [{"itemIdentifier": str(n)} for n in reversed(numbers) if n in bad]}


def test_a_batch_that_succeeds_is_sent_once() -> None:
    delivery = Delivery(make_mapping(), _fail_on()).deliver(make_records(3))

    assert delivery.sent == [[8, 9, 10]]
    assert delivery.finished == [8, 9, 10]
    assert delivery.pauses == []


def test_later_successes_are_sent_again_after_the_lowest_failure() -> None:
    answers = iter([{"batchItemFailures": [{"itemIdentifier": "11"}, {"itemIdentifier": "9"}]}, {}])
    delivery = Delivery(make_mapping(**_REPORTING), lambda _: next(answers)).deliver(make_records(5))

    assert delivery.sent == [[8, 9, 10, 11, 12], [9, 10, 11, 12]]
    assert [report.result for report in delivery.reports] == ["partial_failure", "success"]
    assert [report.finished for report in delivery.reports] == [1, 4]


def test_bisection_goes_down_to_the_one_bad_record() -> None:
    destination = FakeDestination()
    mapping = make_mapping(**_BISECTING, MaximumRetryAttempts=1)
    delivery = Delivery(mapping, _fail_on(13), destination).deliver(make_records(8))

    assert delivery.sent == [
        [8, 9, 10, 11, 12, 13, 14, 15],
        [8, 9, 10, 11],
        [12, 13, 14, 15],
        [12, 13],
        [12],
        [13],
        [13],  # the only retry, since a split uses up none
        [14, 15],
    ]
    assert delivery.finished == [8, 9, 10, 11, 12, 13, 14, 15]
    ((_, document),) = destination.puts
    assert json.loads(document)["KinesisBatchInfo"]["startSequenceNumber"] == "13"
    assert json.loads(document)["KinesisBatchInfo"]["batchSize"] == 1
    assert json.loads(document)["requestContext"]["approximateInvokeCount"] == 5


def test_with_both_only_what_remains_after_the_cut_is_bisected() -> None:
    mapping = make_mapping(**_BISECTING, **_REPORTING, MaximumRetryAttempts=0)
    delivery = Delivery(mapping, _report(10)).deliver(make_records(5))

    assert delivery.sent == [[8, 9, 10, 11, 12], [10, 11, 12], [10], [11, 12]]
    assert [[record.position for record in each.records] for each in delivery.discarded] == [[10]]


def test_without_bisection_the_batch_goes_with_its_bad_record() -> None:
    delivery = Delivery(make_mapping(**_REPORTING, MaximumRetryAttempts=1), _report(9)).deliver(make_records(3))

    assert delivery.sent == [[8, 9, 10], [9, 10], [9, 10]]
    assert [[record.position for record in each.records] for each in delivery.discarded] == [[9, 10]]


@pytest.mark.parametrize("retries", [0, 3])
def test_exhausted_retries_discard_with_the_payload(retries: int) -> None:
    destination = FakeDestination()
    delivery = Delivery(make_mapping(MaximumRetryAttempts=retries), _fail_on(8), destination).deliver(make_records(2))

    assert delivery.sent == [[8, 9]] * (retries + 1)
    ((key, document),) = destination.puts
    assert key.startswith("aws/lambda/11111111-2222-3333-4444-555555555555/shardId-000000000000/2026/11/23/")
    decoded = json.loads(document)
    assert decoded["requestContext"]["condition"] == "RetryAttemptsExhausted"
    data = [base64.b64decode(each["kinesis"]["data"]) for each in json.loads(decoded["payload"])["Records"]]
    assert data == [b"record 0", b"record 1"]


def test_a_queue_receives_metadata_only() -> None:
    destination = FakeDestination(takes_payload=False)
    Delivery(make_mapping(MaximumRetryAttempts=0), _fail_on(8), destination).deliver(make_records(2))

    ((_, document),) = destination.puts
    assert "payload" not in json.loads(document)


def test_the_pause_grows_with_failures_in_a_row() -> None:
    delivery = Delivery(make_mapping(MaximumRetryAttempts=3), _fail_on(8)).deliver(make_records(1))

    assert delivery.pauses == [1, 2, 3]


def test_a_throttle_uses_up_no_retry_and_splits_nothing() -> None:
    answers: list[Exception | None] = [NotInvoked("TooManyRequestsException")] * 5
    answers.append(None)

    def handler(_: list[int]) -> None:
        if (error := answers.pop(0)) is not None:
            raise error

    mapping = make_mapping(**_BISECTING, MaximumRetryAttempts=0)
    delivery = Delivery(mapping, handler).deliver(make_records(2))

    assert delivery.sent == [[8, 9]] * 6
    assert [report.result for report in delivery.reports] == ["not_invoked"] * 5 + ["success"]
    assert delivery.discarded == []


def test_records_that_grow_too_old_are_discarded_between_two_tries() -> None:
    def throttled(_: list[int]) -> None:
        raise NotInvoked("TooManyRequestsException")

    destination = FakeDestination()
    mapping = make_mapping(MaximumRecordAgeInSeconds=60)
    delivery = Delivery(mapping, throttled, destination).deliver(make_records(3))

    assert delivery.finished == [8, 9, 10]
    conditions = [json.loads(document)["requestContext"]["condition"] for _, document in destination.puts]
    assert set(conditions) == {"RecordAgeExceeded"}


def test_a_record_that_is_too_old_at_first_is_never_sent() -> None:
    old = make_records(1, first=_START - timedelta(days=1))
    delivery = Delivery(make_mapping(MaximumRecordAgeInSeconds=60), _fail_on(), FakeDestination()).deliver(old)

    assert delivery.sent == []
    assert [each.condition for each in delivery.discarded] == ["RecordAgeExceeded"]


def test_a_destination_that_fails_is_put_the_same_document_again() -> None:
    destination = FakeDestination(failures=3)
    delivery = Delivery(make_mapping(MaximumRetryAttempts=0), _fail_on(8), destination).deliver(make_records(1))

    assert len(destination.puts) == 1
    assert delivery.finished == [8]
    assert delivery.pauses == [1, 2, 3]


def test_records_that_did_not_reach_the_destination_are_unfinished_when_pause_gives_up() -> None:
    destination = FakeDestination(failures=1_000_000)
    mapping = make_mapping(MaximumRetryAttempts=0)
    delivery = Delivery(mapping, _fail_on(8), destination, give_up_after=5).deliver(make_records(1))

    assert delivery.finished == []
    assert delivery.discarded == []


def test_retries_without_a_limit_end_when_pause_gives_up() -> None:
    delivery = Delivery(make_mapping(), _fail_on(8), give_up_after=5).deliver(make_records(2))

    assert len(delivery.sent) == 6
    assert delivery.finished == []
