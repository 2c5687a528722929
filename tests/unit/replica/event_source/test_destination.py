from __future__ import annotations

import json
from datetime import UTC, datetime

from replica.event_source import Discarded, Invocation
from replica.event_source.destination import invocation_record, object_key
from tests.support.event_source import make_mapping, make_records

_NOW = datetime(2026, 11, 23, 14, 31, 6, 21_000, tzinfo=UTC)


def test_the_invocation_record_is_the_one_that_lambda_sends() -> None:
    discarded = Discarded(
        records=make_records(3),
        condition="RetryAttemptsExhausted",
        invocations=4,
        last=Invocation(request_id="c9b8fa9f", function_error="Unhandled"),
    )

    document = json.loads(
        invocation_record(discarded, make_mapping(), now=_NOW, request_id="unused", payload=b'{"Records":[]}')
    )

    assert document == {
        "requestContext": {
            "requestId": "c9b8fa9f",
            "functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:processor",
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 4,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": "2026-11-23T14:31:06.021Z",
        "KinesisBatchInfo": {
            "shardId": "shardId-000000000000",
            "startSequenceNumber": "8",
            "endSequenceNumber": "10",
            "approximateArrivalOfFirstRecord": "2026-11-23T14:30:00.000Z",
            "approximateArrivalOfLastRecord": "2026-11-23T14:30:02.000Z",
            "batchSize": 3,
            "streamArn": "arn:aws:kinesis:eu-west-1:123456789012:stream/quotes",
        },
        "payload": '{"Records":[]}',
    }


def test_metadata_only_has_no_payload_and_what_was_never_sent_no_response() -> None:
    discarded = Discarded(records=make_records(1), condition="RecordAgeExceeded", invocations=0, last=None)

    document = json.loads(invocation_record(discarded, make_mapping(), now=_NOW, request_id="made up", payload=None))

    assert set(document) == {"requestContext", "version", "timestamp", "KinesisBatchInfo"}
    assert document["requestContext"]["requestId"] == "made up"
    assert document["requestContext"]["condition"] == "RecordAgeExceeded"


def test_the_object_key_follows_the_documented_convention() -> None:
    assert object_key(make_mapping(), "shardId-000000000001", _NOW, "uuid") == (
        "aws/lambda/11111111-2222-3333-4444-555555555555/shardId-000000000001/2026/11/23/2026-11-23T14.31.06-uuid"
    )
