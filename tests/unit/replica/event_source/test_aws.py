from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.eventstream import ChecksumMismatch
from botocore.exceptions import ClientError, EventStreamError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from replica.event_source import (
    DestinationUnavailable,
    Invocation,
    IteratorExpired,
    NotInvoked,
    Page,
    Position,
    PushedEvent,
    Record,
    Shard,
    ShardGone,
    StreamUnavailable,
    UnsupportedMapping,
)
from replica.event_source.aws import (
    KinesisStream,
    KinesisSubscription,
    LambdaFunction,
    SnsDestination,
    on_failure_destination,
)
from tests.support.event_source import CONSUMER

_STREAM = "arn:aws:kinesis:eu-west-1:123456789012:stream/quotes"
_FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:processor"
_SHARD = "shardId-000000000000"

Stubbed = Callable[[str], tuple[Any, Stubber]]


@pytest.fixture
def stubbed() -> Stubbed:
    """Creates a client and its stubber, which checks requests and answers against AWS's service model."""

    def make(service: str) -> tuple[Any, Stubber]:
        client = boto3.client(
            service, region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test", config=Config()
        )
        stubber = Stubber(client)
        stubber.activate()
        return client, stubber

    return make


def test_lists_every_page_of_shards_with_both_parents(stubbed: Stubbed) -> None:
    client, stubber = stubbed("kinesis")
    hashes = {"HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "1"}}
    numbers = {"SequenceNumberRange": {"StartingSequenceNumber": "1"}}
    merged = {"ShardId": "merged", "ParentShardId": "left", "AdjacentParentShardId": "right", **hashes, **numbers}
    stubber.add_response(
        "list_shards",
        {"Shards": [{"ShardId": "left", **hashes, **numbers}], "NextToken": "more"},
        {"StreamARN": _STREAM},
    )
    stubber.add_response("list_shards", {"Shards": [merged]}, {"NextToken": "more"})

    shards = KinesisStream(client, _STREAM).list_shards()

    assert shards == (Shard(shard_id="left"), Shard(shard_id="merged", parents=("left", "right")))


def test_reads_records_and_whether_any_are_left(stubbed: Stubbed) -> None:
    client, stubber = stubbed("kinesis")
    arrival = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
    raw = {"SequenceNumber": "8", "ApproximateArrivalTimestamp": arrival, "Data": b"data", "PartitionKey": "key"}
    stubber.add_response("get_records", {"Records": [raw], "NextShardIterator": "next", "MillisBehindLatest": 5})
    stubber.add_response("get_records", {"Records": [], "MillisBehindLatest": 0})
    stream = KinesisStream(client, _STREAM)

    record = Record(
        shard_id=_SHARD,
        sequence_number="8",
        partition_key="key",
        data=b"data",
        approximate_arrival_timestamp=arrival,
    )
    assert stream.get_records(_SHARD, "first") == Page(records=(record,), next_iterator="next", at_tip=False)
    assert stream.get_records(_SHARD, "next") == Page(records=(), next_iterator=None, at_tip=True)


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        ("ProvisionedThroughputExceededException", StreamUnavailable),
        ("InternalFailureException", StreamUnavailable),
        ("ExpiredIteratorException", IteratorExpired),
        ("AccessDeniedException", ClientError),  # a retry does not fix it
    ],
)
def test_errors_of_a_read_are_distinguished(stubbed: Stubbed, code: str, raised: type[Exception]) -> None:
    client, stubber = stubbed("kinesis")
    stubber.add_client_error("get_records", code)

    with pytest.raises(raised):
        KinesisStream(client, _STREAM).get_records(_SHARD, "iterator")


def test_a_shard_that_is_gone_has_ended(stubbed: Stubbed) -> None:
    client, stubber = stubbed("kinesis")
    stubber.add_client_error("get_records", "ResourceNotFoundException")

    assert KinesisStream(client, _STREAM).get_records(_SHARD, "iterator") == Page(next_iterator=None)


def test_asks_for_the_position_after_a_record(stubbed: Stubbed) -> None:
    client, stubber = stubbed("kinesis")
    expected = {
        "StreamARN": _STREAM,
        "ShardId": _SHARD,
        "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
        "StartingSequenceNumber": "8",
    }
    stubber.add_response("get_shard_iterator", {"ShardIterator": "iterator"}, expected)
    position = Position(type="AFTER_SEQUENCE_NUMBER", sequence_number="8")

    assert KinesisStream(client, _STREAM).shard_iterator(_SHARD, position) == "iterator"


class EventStream:
    """The event stream of an answer of SubscribeToShard: events, and then the end or an error."""

    def __init__(self, *events: dict[str, Any], error: Exception | None = None) -> None:
        self._events = iter(events)
        self._error = error

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from self._events
        if self._error is not None:
            raise self._error


class Subscribed:
    """A client that answers SubscribeToShard with an event stream, which a stubber cannot."""

    def __init__(self, event_stream: EventStream) -> None:
        self.request: dict[str, object] = {}
        self._event_stream = event_stream

    def subscribe_to_shard(self, **request: object) -> dict[str, EventStream]:
        self.request = request
        return {"EventStream": self._event_stream}


def _subscribe(client: Any, position: Position) -> KinesisSubscription:
    return KinesisStream(client, _STREAM).subscribe(CONSUMER, _SHARD, position)


def test_subscribes_after_a_record_and_reads_events_to_the_end() -> None:
    arrival = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
    raw = {"SequenceNumber": "9", "ApproximateArrivalTimestamp": arrival, "Data": b"data", "PartitionKey": "key"}
    events = [
        {"Records": [raw], "ContinuationSequenceNumber": "9", "MillisBehindLatest": 5},
        {"Records": [], "ContinuationSequenceNumber": "11", "MillisBehindLatest": 0},
        {
            "Records": [],
            "ContinuationSequenceNumber": "12",
            "MillisBehindLatest": 0,
            "ChildShards": [{"ShardId": "left", "ParentShards": [_SHARD], "HashKeyRange": {}}],
        },
    ]
    client = Subscribed(EventStream(*({"SubscribeToShardEvent": event} for event in events)))

    subscription = _subscribe(client, Position(type="AFTER_SEQUENCE_NUMBER", sequence_number="8"))

    record = Record(
        shard_id=_SHARD, sequence_number="9", partition_key="key", data=b"data", approximate_arrival_timestamp=arrival
    )
    assert subscription.next_event() == PushedEvent(records=(record,), continuation="9", at_tip=False)
    assert subscription.next_event() == PushedEvent(continuation="11")
    assert subscription.next_event() == PushedEvent(continuation="12", ended=True)
    assert subscription.next_event() is None
    assert client.request == {
        "ConsumerARN": CONSUMER,
        "ShardId": _SHARD,
        "StartingPosition": {"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": "8"},
    }


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (EventStreamError({"Error": {"Code": "ResourceNotFoundException"}}, ""), "ResourceNotFoundException"),
        (EventStreamError({"Error": {"Code": "InternalFailureException"}}, ""), "InternalFailureException"),
        (EventStreamError({"Error": {"Code": "ResourceInUseException"}}, ""), "ResourceInUseException"),
        (EventStreamError({"Error": {"Code": "KMSThrottlingException"}}, ""), "KMSThrottlingException"),
        (ProtocolError("Connection broken"), "Connection broken"),
        (ReadTimeoutError(None, "", "Read timed out."), "Read timed out"),  # type: ignore[arg-type]
        (ConnectionResetError("Connection reset by peer"), "reset"),
        (ChecksumMismatch(1, 2), "mismatch"),
    ],
)
def test_every_error_of_the_event_stream_breaks_the_subscription(error: Exception, reason: str) -> None:
    subscription = _subscribe(Subscribed(EventStream(error=error)), Position(type="TRIM_HORIZON"))

    with pytest.raises(StreamUnavailable, match=reason):
        subscription.next_event()


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        ("ResourceInUseException", StreamUnavailable),  # within five seconds of the last call
        ("LimitExceededException", StreamUnavailable),
        ("InternalFailureException", StreamUnavailable),
        ("AccessDeniedException", ClientError),  # a retry does not fix it
        ("InvalidArgumentException", ClientError),
    ],
)
def test_a_refused_subscription_is_distinguished(stubbed: Stubbed, code: str, raised: type[Exception]) -> None:
    client, stubber = stubbed("kinesis")
    stubber.add_client_error("subscribe_to_shard", code)

    with pytest.raises(raised, match=code):
        _subscribe(client, Position(type="TRIM_HORIZON"))


@pytest.mark.parametrize(("listed", "raised"), [("other", ShardGone), (_SHARD, ClientError)])
def test_a_shard_that_is_gone_is_not_a_consumer_that_is_gone(
    stubbed: Stubbed, listed: str, raised: type[Exception]
) -> None:
    client, stubber = stubbed("kinesis")
    shard = {
        "ShardId": listed,
        "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "1"},
        "SequenceNumberRange": {"StartingSequenceNumber": "1"},
    }
    stubber.add_client_error("subscribe_to_shard", "ResourceNotFoundException")
    stubber.add_response("list_shards", {"Shards": [shard]})

    with pytest.raises(raised):
        _subscribe(client, Position(type="TRIM_HORIZON"))


def test_a_function_error_is_an_answer(stubbed: Stubbed) -> None:
    client, stubber = stubbed("lambda")
    body = b'{"errorMessage":"Task timed out after 3.00 seconds"}'
    stubber.add_response(
        "invoke",
        {
            "StatusCode": 200,
            "FunctionError": "Unhandled",
            "ExecutedVersion": "7",
            "Payload": StreamingBody(BytesIO(body), len(body)),
            "ResponseMetadata": {"RequestId": "request"},
        },
        {"FunctionName": _FUNCTION, "Payload": b"{}"},
    )

    assert LambdaFunction(client, _FUNCTION).invoke(b"{}") == Invocation(
        request_id="request", payload=body, function_error="Unhandled", executed_version="7"
    )


@pytest.mark.parametrize("code", ["TooManyRequestsException", "ServiceException", "ResourceNotReadyException"])
def test_what_the_api_refuses_was_not_invoked(stubbed: Stubbed, code: str) -> None:
    client, stubber = stubbed("lambda")
    stubber.add_client_error("invoke", code)

    with pytest.raises(NotInvoked, match=code):
        LambdaFunction(client, _FUNCTION).invoke(b"{}")


def test_a_destination_that_refuses_is_unavailable(stubbed: Stubbed) -> None:
    client, stubber = stubbed("sns")
    stubber.add_client_error("publish", "InternalErrorException")

    with pytest.raises(DestinationUnavailable, match="InternalErrorException"):
        SnsDestination(client, "arn:aws:sns:eu-west-1:123456789012:failures").put("key", b"{}")


def test_only_the_destinations_of_kinesis_mappings_are_supported(stubbed: Stubbed) -> None:
    def client(service_name: str, *, config: Config) -> object:  # noqa: ARG001
        return stubbed(service_name)[0]

    assert on_failure_destination(client, None) is None
    s3 = on_failure_destination(client, "arn:aws:s3:::failures")
    sns = on_failure_destination(client, "arn:aws:sns:eu-west-1:123456789012:failures")
    assert s3 is not None
    assert s3.takes_payload
    assert sns is not None
    assert not sns.takes_payload
    with pytest.raises(UnsupportedMapping, match="is no S3 bucket, SQS queue or SNS topic"):
        on_failure_destination(client, "arn:aws:lambda:eu-west-1:123456789012:function:other")
