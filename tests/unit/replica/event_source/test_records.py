from __future__ import annotations

import json
from datetime import UTC, datetime

from processor_lambda.records import records_of
from replica.event_source import Record
from replica.event_source.records import EventFormat
from tests.support.event_source import CONSUMER, make_mapping, make_records

_ROLE = "arn:aws:iam::123456789012:role/processor"


def test_the_event_is_the_one_that_lambda_sends() -> None:
    record = Record(
        shard_id="shardId-000000000006",
        sequence_number="49590338271490256608559692538361571095921575989136588898",
        partition_key="1",
        data=b"Hello, this is a test.",
        approximate_arrival_timestamp=datetime(2018, 12, 17, 22, 10, 50, 987_000, tzinfo=UTC),
    )

    event = json.loads(EventFormat(make_mapping(), _ROLE).payload([record]))

    # The example in "Using Lambda with Kinesis" of the developer guide, with other names of the account.
    assert event == {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": "1",
                    "sequenceNumber": "49590338271490256608559692538361571095921575989136588898",
                    "data": "SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==",
                    "approximateArrivalTimestamp": 1545084650.987,
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": "shardId-000000000006:49590338271490256608559692538361571095921575989136588898",
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": _ROLE,
                "awsRegion": "eu-west-1",
                "eventSourceARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/quotes",
            }
        ]
    }


def test_sizes_add_up_to_the_payload() -> None:
    event_format = EventFormat(make_mapping(), _ROLE)
    records = make_records(5)

    assert len(event_format.payload(records)) == len(b'{"Records":[]}') - 1 + sum(map(event_format.size, records))


def test_the_function_finds_the_name_of_the_stream_also_in_the_arn_of_a_consumer() -> None:
    event = json.loads(EventFormat(make_mapping(EventSourceArn=CONSUMER), _ROLE).payload(make_records(1)))

    assert event["Records"][0]["eventSourceARN"] == CONSUMER
    assert [record.stream for record in records_of(event)] == ["quotes"]
