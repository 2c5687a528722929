"""The event-source runner with a stream, a function and a destination of the emulator, in both ways of reading."""

from __future__ import annotations

import base64
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config

from replica import consumer
from replica.emulator import Emulator
from replica.event_source import Clock, InvocationReport, StreamUnavailable
from replica.event_source.aws import ClientFactory, KinesisStream, connect
from replica.event_source.fan_out import ShardSubscriber
from replica.event_source.shards import TRIM_HORIZON, ShardRead

_TIMEOUT_SECONDS = 60.0
_SHARDS = 2
_STOP_SECONDS = 3.0
"""The emulator sends an event every 5 seconds. A stop in less time does not wait for it."""

# The function raises at a record with the data `raise`, and reports one with the data `report` as failed.
_HANDLER = """
import base64

def handler(event, context):
    for record in event["Records"]:
        data = base64.b64decode(record["kinesis"]["data"])
        if data == b"raise":
            raise ValueError(record["eventID"])
        if data == b"report":
            return {"batchItemFailures": [{"itemIdentifier": record["kinesis"]["sequenceNumber"]}]}
    return {"batchItemFailures": []}
"""


class Resources:
    """A stream with a consumer, a function, a bucket and a queue. Each test creates a disabled mapping of its own."""

    def __init__(self, client: ClientFactory, name: str) -> None:
        self.client = client
        self.name = name
        self._kinesis, self._lambda, self._s3, self._sqs = (
            client(service, config=Config()) for service in ("kinesis", "lambda", "s3", "sqs")
        )
        self._kinesis.create_stream(StreamName=name, ShardCount=_SHARDS)
        self._kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
        self._stream_arn = self._kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"][
            "StreamARN"
        ]
        self.consumer_arn = consumer.register(self._kinesis, self._stream_arn, "processor")
        self._lambda.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role="arn:aws:iam::000000000000:role/event-source",
            Handler="index.handler",
            Code={"ZipFile": _zip("index.py", _HANDLER)},
            Timeout=10,
        )
        self._s3.create_bucket(Bucket=name)
        self._queue_url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        self.bucket_arn = f"arn:aws:s3:::{name}"
        self.queue_arn = self._sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=["QueueArn"])[
            "Attributes"
        ]["QueueArn"]

    def map(self, destination: str, *, pushes: bool, **properties: object) -> str:
        """Create a disabled mapping from the stream or its consumer to the function. Returns its UUID.

        A stack creates it, because the emulator's CreateEventSourceMapping refuses a consumer.
        """
        mapping = {
            "EventSourceArn": self.consumer_arn if pushes else self._stream_arn,
            "FunctionName": self.name,
            "StartingPosition": "LATEST",
            "Enabled": False,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "DestinationConfig": {"OnFailure": {"Destination": destination}},
            **properties,
        }
        resource = {"Type": "AWS::Lambda::EventSourceMapping", "Properties": mapping}
        cloudformation = self.client("cloudformation", config=Config())
        cloudformation.create_stack(StackName=self.name, TemplateBody=json.dumps({"Resources": {"Mapping": resource}}))
        cloudformation.get_waiter("stack_create_complete").wait(StackName=self.name, WaiterConfig={"Delay": 1})
        created = cloudformation.describe_stack_resources(StackName=self.name)["StackResources"]
        return str(created[0]["PhysicalResourceId"])

    def put(self, *data: bytes, key: str = "key") -> None:
        response = self._kinesis.put_records(
            StreamName=self.name, Records=[{"Data": each, "PartitionKey": key} for each in data]
        )
        assert response["FailedRecordCount"] == 0

    def objects(self, prefix: str) -> list[dict[str, Any]]:
        listing = self._s3.list_objects_v2(Bucket=self.name, Prefix=prefix)
        return [
            json.loads(self._s3.get_object(Bucket=self.name, Key=each["Key"])["Body"].read())
            for each in listing.get("Contents", [])
        ]

    def messages(self) -> list[dict[str, Any]]:
        response = self._sqs.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in response.get("Messages", [])]

    def delete(self) -> None:
        self.client("cloudformation", config=Config()).delete_stack(StackName=self.name)
        self._lambda.delete_function(FunctionName=self.name)
        self._kinesis.delete_stream(StreamName=self.name)


def _zip(name: str, source: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, source)
    return buffer.getvalue()


@pytest.fixture
def resources(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Resources]:
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    resources = Resources(boto3.Session().client, f"event-source-{uuid4().hex[:8]}")
    yield resources
    resources.delete()


@pytest.mark.parametrize("pushes", [False, True], ids=["polling", "fan_out"])
def test_delivers_every_record_and_keeps_the_bad_ones_with_their_bytes(resources: Resources, *, pushes: bool) -> None:
    reports: list[InvocationReport] = []
    uuid = resources.map(
        resources.bucket_arn,
        pushes=pushes,
        BatchSize=10,
        ParallelizationFactor=2,
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=1,
    )
    resources.put(b"before the start of a mapping at LATEST")

    with connect(
        resources.client, uuid, on_batch=reports.append, poll_interval_seconds=0.05, backoff=lambda _: 0.01
    ) as runner:
        for key in ("a", "b", "c", "d"):
            resources.put(*(b"%d" % number for number in range(15)), key=key)
        resources.put(b"raise", b"well", b"report", b"too", key="a")
        assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)

    finished = [record.data for report in reports for record in report.records[: report.finished]]
    assert sorted(finished) == sorted([b"%d" % number for number in range(15)] * 4 + [b"well", b"too"])
    documents = resources.objects(f"aws/lambda/{uuid}/")
    bad = [base64.b64decode(record["kinesis"]["data"]) for each in documents for record in _payload(each)]
    assert sorted(bad) == [b"raise", b"report"]
    assert {each["requestContext"]["condition"] for each in documents} == {"RetryAttemptsExhausted"}
    errors = {each["responseContext"].get("functionError") for each in documents}
    assert errors == {"Unhandled", None}  # a reported failure is not a function error


def test_a_queue_receives_metadata_only(resources: Resources) -> None:
    uuid = resources.map(resources.queue_arn, pushes=False, MaximumRetryAttempts=0)

    with connect(resources.client, uuid, poll_interval_seconds=0.05) as runner:
        resources.put(b"raise", b"well")
        assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)

    (message,) = resources.messages()
    assert message["KinesisBatchInfo"]["batchSize"] == 2
    assert "payload" not in message


@pytest.mark.timed
def test_a_runner_stops_while_its_subscriptions_wait(resources: Resources) -> None:
    runner = connect(resources.client, resources.map(resources.queue_arn, pushes=True))
    runner.start()
    resources.put(b"well")
    assert runner.wait_until_caught_up(_TIMEOUT_SECONDS)

    runner.stop(timeout=_STOP_SECONDS)


def test_a_second_subscriber_is_refused_for_five_seconds_and_then_takes_over(emulator: Emulator) -> None:
    stream, consumer_arn = _stream_with_consumer(emulator, f"takeover-{uuid4().hex[:8]}")
    first, second = (_subscriber(stream, consumer_arn) for _ in range(2))
    first.read()

    refused = 0
    while not (reads := _attempt(second.read)):
        refused += 1
        time.sleep(0.2)
    with pytest.raises(StreamUnavailable, match="ResourceInUseException"):
        _read_on(first)
    for subscriber in (first, second):
        subscriber.close()

    assert refused > 0
    assert reads[0].complete_to is not None


def test_a_subscription_that_begins_far_behind_gets_on_in_small_events(replica_python: str) -> None:
    """The proxy passes events on at once, and the emulator makes none that botocore refuses for its size."""
    with Emulator(python=replica_python, metered=True) as emulator:
        stream, consumer_arn = _stream_with_consumer(emulator, "quotes")
        for _ in range(20):
            emulator.client("kinesis").put_record(StreamName="quotes", PartitionKey="key", Data=bytes(1_000_000))
        subscriber = _subscriber(stream, consumer_arn)

        reads = [subscriber.read()]
        while reads[-1].complete_to is None:
            reads.append(subscriber.read())
        subscriber.close()

    assert [len(read.records) for read in reads] == [1] * 20


def _stream_with_consumer(emulator: Emulator, name: str) -> tuple[KinesisStream, str]:
    kinesis = emulator.client("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    arn = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    return KinesisStream(kinesis, arn), consumer.register(kinesis, arn, "processor")


def _subscriber(stream: KinesisStream, consumer_arn: str) -> ShardSubscriber:
    (shard,) = stream.list_shards()
    return ShardSubscriber(stream, consumer_arn, shard.shard_id, TRIM_HORIZON, clock=Clock())


def _attempt(read: Callable[[], ShardRead]) -> list[ShardRead]:
    """What a read gives, or an empty list if Kinesis refuses the subscription."""
    try:
        return [read()]
    except StreamUnavailable:
        return []


def _read_on(subscriber: ShardSubscriber) -> None:
    while True:
        subscriber.read()


def _payload(document: dict[str, Any]) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(document["payload"])["Records"]
    return records
