"""The runner's ports, implemented with boto3, and `connect`, which wires them to a deployed mapping."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeAlias, TypedDict, Unpack

from botocore.config import Config
from botocore.eventstream import ParserError
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from aws_limits import KINESIS_GET_RECORDS
from replica.event_source.delivery import Discarded
from replica.event_source.destination import Destination, DestinationUnavailable
from replica.event_source.function import Invocation, NotInvoked
from replica.event_source.invoker import InvocationReport
from replica.event_source.mapping import EventSourceMapping, UnsupportedMapping
from replica.event_source.records import Record
from replica.event_source.runner import EventSourceRunner
from replica.event_source.shards import (
    IteratorExpired,
    Page,
    Position,
    PushedEvent,
    Shard,
    ShardGone,
    StreamUnavailable,
)

Client: TypeAlias = Any
"""A boto3 client. boto3 creates its methods at run time, so no type checker knows them."""

_FATAL = frozenset(
    {"AccessDeniedException", "InvalidArgumentException", "ResourceNotFoundException", "ValidationException"}
)
"""Errors that a retry does not fix. They are raised unchanged, and end the runner."""

SILENCE_SECONDS = 30.0
"""A subscription without an event for this long counts as broken.

Kinesis sends events without records too ("even when no data is written to the shard", API_SubscribeToShardEvent.html),
but AWS does not say how often; MiniStack does every 5 seconds. Flink's consumer gives up after 30 seconds
(github.com/awslabs/amazon-kinesis-connector-flink/pull/3), and the Kinesis Client Library after 35.
"""


class ClientFactory(Protocol):
    """A function like `boto3.Session.client`, with an endpoint or a region already bound."""

    def __call__(self, service_name: str, *, config: Config) -> Client:
        """A client of the named service."""


class RunnerOptions(TypedDict, total=False):
    """The options that `connect` passes to `EventSourceRunner`."""

    on_batch: Callable[[InvocationReport], None]
    on_discard: Callable[[Discarded], None]
    poll_interval_seconds: float
    discovery_interval_seconds: float
    backoff: Callable[[int], float]


def connect(client: ClientFactory, uuid: str, **options: Unpack[RunnerOptions]) -> EventSourceRunner:
    """A runner for the deployed mapping `uuid`, with the mapping's stream, function and on-failure destination.

    It is not started. The mapping must be disabled, or the emulator's own poller delivers every record as well.
    """
    lambda_ = client("lambda", config=Config())
    mapping = EventSourceMapping.from_response(lambda_.get_event_source_mapping(UUID=uuid))
    function = lambda_.get_function_configuration(FunctionName=mapping.function_arn)
    # The client waits longer than the function may run, and does not retry by itself: the mapping decides on retries.
    invoking = Config(
        read_timeout=function["Timeout"] + 30,
        retries={"total_max_attempts": 1},
        max_pool_connections=100,
    )
    reading = Config(read_timeout=SILENCE_SECONDS, max_pool_connections=100)
    return EventSourceRunner(
        mapping,
        KinesisStream(client("kinesis", config=reading), mapping.stream_arn),
        LambdaFunction(client("lambda", config=invoking), mapping.function_arn),
        on_failure_destination(client, mapping.on_failure_destination),
        invoke_identity_arn=function["Role"],
        **options,
    )


class KinesisStream:
    """A `StreamReader` of a Kinesis data stream."""

    def __init__(self, kinesis: Client, stream_arn: str) -> None:
        self._kinesis = kinesis
        self._stream_arn = stream_arn

    def list_shards(self) -> tuple[Shard, ...]:
        """ListShards, with all pages."""
        shards: list[Shard] = []
        request: dict[str, str] = {"StreamARN": self._stream_arn}
        while True:
            try:
                response = self._kinesis.list_shards(**request)
            except (ClientError, BotoCoreError) as error:
                raise _stream_error(error) from error
            shards += [
                Shard(
                    shard_id=shard["ShardId"],
                    parents=tuple(
                        shard[name] for name in ("ParentShardId", "AdjacentParentShardId") if shard.get(name)
                    ),
                )
                for shard in response["Shards"]
            ]
            if not response.get("NextToken"):
                return tuple(shards)
            request = {"NextToken": response["NextToken"]}  # the token contains the stream; naming both is an error

    def shard_iterator(self, shard_id: str, position: Position) -> str:
        """GetShardIterator."""
        request: dict[str, object] = {"ShardIteratorType": position.type}
        if position.timestamp is not None:
            request["Timestamp"] = position.timestamp
        if position.sequence_number is not None:
            request["StartingSequenceNumber"] = position.sequence_number
        try:
            response = self._kinesis.get_shard_iterator(StreamARN=self._stream_arn, ShardId=shard_id, **request)
        except (ClientError, BotoCoreError) as error:
            raise _stream_error(error) from error
        iterator: str = response["ShardIterator"]
        return iterator

    def get_records(self, shard_id: str, iterator: str) -> Page:
        """GetRecords."""
        try:
            response = self._kinesis.get_records(
                StreamARN=self._stream_arn, ShardIterator=iterator, Limit=KINESIS_GET_RECORDS
            )
        except (ClientError, BotoCoreError) as error:
            if _code(error) == "ExpiredIteratorException":
                raise IteratorExpired from error
            if (
                _code(error) == "ResourceNotFoundException"
            ):  # its records have expired, or the emulator dropped the shard
                return Page(next_iterator=None)
            raise _stream_error(error) from error
        records = _records(shard_id, response["Records"])
        # After a full page, records of the same millisecond may be left.
        at_tip = response.get("MillisBehindLatest", 0) == 0 and len(records) < KINESIS_GET_RECORDS
        return Page(records=records, next_iterator=response.get("NextShardIterator"), at_tip=at_tip)

    def subscribe(self, consumer_arn: str, shard_id: str, position: Position) -> KinesisSubscription:
        """SubscribeToShard."""
        start: dict[str, object] = {"Type": position.type}
        if position.timestamp is not None:
            start["Timestamp"] = position.timestamp
        if position.sequence_number is not None:
            start["SequenceNumber"] = position.sequence_number
        try:
            response = self._kinesis.subscribe_to_shard(
                ConsumerARN=consumer_arn, ShardId=shard_id, StartingPosition=start
            )
        except (ClientError, BotoCoreError) as error:
            if _code(error) == "ResourceNotFoundException" and shard_id not in {
                shard.shard_id for shard in self.list_shards()
            }:
                raise ShardGone from error
            raise _stream_error(error) from error
        return KinesisSubscription(response["EventStream"], shard_id)


class KinesisSubscription:
    """A `Subscription` to a shard, the event stream of SubscribeToShard's answer."""

    def __init__(self, event_stream: Any, shard_id: str) -> None:
        self._event_stream = event_stream
        self._events = iter(event_stream)
        self._shard_id = shard_id

    def next_event(self) -> PushedEvent | None:
        """Wait for the next event. None at the end of the stream.

        Every error of the stream breaks the subscription: one that Kinesis sends as an event, such as
        InternalFailureException, a reset connection, garbled bytes. Whether a retry can fix it, the next
        SubscribeToShard says.
        """
        try:
            answer = next(self._events, None)
        except (ClientError, BotoCoreError) as error:
            raise StreamUnavailable(_code(error) or str(error)) from error
        except (HTTPError, ParserError, OSError, ValueError) as error:  # botocore lets the connection's errors through
            raise StreamUnavailable(str(error)) from error
        if answer is None:
            return None
        event = answer["SubscribeToShardEvent"]
        return PushedEvent(
            records=_records(self._shard_id, event["Records"]),
            continuation=event["ContinuationSequenceNumber"],
            at_tip=event["MillisBehindLatest"] == 0,
            ended=bool(event.get("ChildShards")),
        )

    def interrupt(self) -> None:
        """Shut the socket for reading. Closing it would not end the wait of another thread."""
        with suppress(OSError, ValueError, RuntimeError):  # the connection is already closed
            self._event_stream._raw_stream.shutdown()  # noqa: SLF001  (botocore has no public way to the connection)

    def close(self) -> None:
        """Close the connection. Its bytes may be anywhere in an event, so nobody can use it again."""
        self._event_stream.close()


class LambdaFunction:
    """A `Function` behind Lambda's Invoke."""

    def __init__(self, lambda_: Client, function_arn: str) -> None:
        self._lambda = lambda_
        self._function_arn = function_arn

    def invoke(self, payload: bytes) -> Invocation:
        """Invoke the function synchronously. Any error of the API means that no invocation finished."""
        try:
            response = self._lambda.invoke(FunctionName=self._function_arn, Payload=payload)
            body: bytes = response["Payload"].read()
        except (ClientError, BotoCoreError) as error:
            raise NotInvoked(_code(error) or str(error)) from error
        return Invocation(
            request_id=response["ResponseMetadata"].get("RequestId", ""),
            payload=body,
            function_error=response.get("FunctionError"),
            status_code=response["StatusCode"],
            executed_version=response.get("ExecutedVersion", "$LATEST"),
        )


def on_failure_destination(client: ClientFactory, arn: str | None) -> Destination | None:
    """The destination with an ARN. Raises `UnsupportedMapping` for services other than S3, SQS and SNS."""
    if arn is None:
        return None
    service, account, name = (arn.split(":", 5)[index] for index in (2, 4, 5))
    match service:
        case "s3":
            return S3Destination(client("s3", config=Config()), name)
        case "sqs":
            sqs = client("sqs", config=Config())
            return SqsDestination(sqs, sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"])
        case "sns":
            return SnsDestination(client("sns", config=Config()), arn)
        case _:
            raise UnsupportedMapping(f"the on-failure destination {arn} is no S3 bucket, SQS queue or SNS topic")


class S3Destination:
    """A bucket that receives each invocation record as an object, which includes the records."""

    takes_payload = True

    def __init__(self, s3: Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def put(self, key: str, invocation_record: bytes) -> None:
        """PutObject."""
        _send(lambda: self._s3.put_object(Bucket=self._bucket, Key=key, Body=invocation_record))


class SqsDestination:
    """A queue that receives each invocation record as a message, which contains only metadata."""

    takes_payload = False

    def __init__(self, sqs: Client, queue_url: str) -> None:
        self._sqs = sqs
        self._queue_url = queue_url

    def put(self, key: str, invocation_record: bytes) -> None:  # noqa: ARG002  (the port has it for S3)
        """SendMessage."""
        _send(lambda: self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=invocation_record.decode()))


class SnsDestination:
    """A topic that receives each invocation record as a message, which contains only metadata."""

    takes_payload = False

    def __init__(self, sns: Client, topic_arn: str) -> None:
        self._sns = sns
        self._topic_arn = topic_arn

    def put(self, key: str, invocation_record: bytes) -> None:  # noqa: ARG002  (the port has it for S3)
        """Publish."""
        _send(lambda: self._sns.publish(TopicArn=self._topic_arn, Message=invocation_record.decode()))


def _send(call: Callable[[], object]) -> None:
    try:
        call()
    except (ClientError, BotoCoreError) as error:
        raise DestinationUnavailable(_code(error) or str(error)) from error


def _records(shard_id: str, records: list[Any]) -> tuple[Record, ...]:
    return tuple(
        Record(
            shard_id=shard_id,
            sequence_number=record["SequenceNumber"],
            partition_key=record["PartitionKey"],
            data=record["Data"],
            approximate_arrival_timestamp=record["ApproximateArrivalTimestamp"],
        )
        for record in records
    )


def _stream_error(error: ClientError | BotoCoreError) -> Exception:
    return error if _code(error) in _FATAL else StreamUnavailable(_code(error) or str(error))


def _code(error: ClientError | BotoCoreError) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""
