from __future__ import annotations

from datetime import UTC, datetime

import pytest

from replica.event_source import EventSourceMapping, UnsupportedMapping
from replica.event_source.mapping import UNLIMITED
from tests.support.event_source import CONSUMER, STREAM, make_mapping


def test_absent_and_null_properties_take_the_defaults_of_aws() -> None:
    mapping = make_mapping(BatchSize=None, FunctionResponseTypes=None, State="Disabled", TumblingWindowInSeconds=0)

    assert mapping.batch_size == 100
    assert mapping.maximum_batching_window_in_seconds == 0
    assert mapping.parallelization_factor == 1
    assert mapping.bisect_batch_on_function_error is False
    assert mapping.maximum_retry_attempts == UNLIMITED
    assert mapping.maximum_record_age_in_seconds == UNLIMITED
    assert mapping.reports_batch_item_failures is False
    assert mapping.on_failure_destination is None
    assert mapping.region == "eu-west-1"


def test_reads_what_a_deployed_mapping_says() -> None:
    mapping = make_mapping(
        BatchSize=500,
        MaximumBatchingWindowInSeconds=5,
        ParallelizationFactor=4,
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=3,
        MaximumRecordAgeInSeconds=3600,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        DestinationConfig={"OnSuccess": {}, "OnFailure": {"Destination": "arn:aws:s3:::failures"}},
        LastModified=datetime(2026, 11, 23, tzinfo=UTC),
    )

    assert mapping.batch_size == 500
    assert mapping.reports_batch_item_failures is True
    assert mapping.on_failure_destination == "arn:aws:s3:::failures"


def test_a_mapping_reads_the_stream_itself_or_through_a_consumer_of_it() -> None:
    shared, fan_out = make_mapping(EventSourceArn=STREAM), make_mapping(EventSourceArn=CONSUMER)

    assert (shared.stream_arn, shared.consumer_arn) == (STREAM, None)
    assert (fan_out.stream_arn, fan_out.consumer_arn) == (STREAM, CONSUMER)
    assert fan_out.region == "eu-west-1"


@pytest.mark.parametrize(
    ("properties", "problem"),
    [
        ({"BatchSize": 0}, "BatchSize"),
        ({"ParallelizationFactor": 11}, "ParallelizationFactor"),
        ({"MaximumRetryAttempts": -2}, "MaximumRetryAttempts"),
        ({"FunctionResponseTypes": ["Other"]}, "FunctionResponseTypes"),
        ({"TumblingWindowInSeconds": 30}, "has TumblingWindowInSeconds, which the replica does not support"),
        (
            {"FilterCriteria": {"Filters": [{"Pattern": "{}"}]}},
            "has FilterCriteria, which the replica does not support",
        ),
        ({"EventSourceArn": "arn:aws:sqs:eu-west-1:123456789012:queue"}, "not the ARN of a Kinesis data stream"),
        ({"EventSourceArn": f"{STREAM}/consumer/"}, "or of a consumer of one"),
        ({"StartingPosition": "AT_TIMESTAMP"}, "StartingPositionTimestamp"),
    ],
)
def test_refuses_properties_that_it_does_not_support(properties: dict[str, object], problem: str) -> None:
    with pytest.raises(UnsupportedMapping, match=problem):
        make_mapping(**properties)


def test_refuses_a_response_without_a_function() -> None:
    with pytest.raises(UnsupportedMapping, match="missing required field"):
        EventSourceMapping.from_response({"UUID": "x"})
