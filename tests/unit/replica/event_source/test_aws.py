from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from replica.event_source import (
    DestinationUnavailable,
    Invocation,
    IteratorExpired,
    NotInvoked,
    Page,
    Position,
    Record,
    Shard,
    StreamUnavailable,
    UnsupportedMapping,
)
from replica.event_source.aws import KinesisStream, LambdaFunction, SnsDestination, on_failure_destination

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
