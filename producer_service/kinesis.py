"""The Kinesis adapter: sends one PutRecords request, and reports the outcome of each of its records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from producer_service.aws_client import AwsClient, failure_of, failure_of_code, in_words
from producer_service.clock import Clock
from producer_service.errors import StreamUnreachable
from producer_service.packing import Packet
from producer_service.service_time import keep_time
from producer_service.stream import PutFailure, PutResult

CONNECT_TIMEOUT_SECONDS = 3


class KinesisStream:
    """A Kinesis data stream. The SDK finds endpoint, region and credentials in its usual way.

    Every answer, even a refusal, tells the clock the time, and requests are signed with that time. Raises
    `ConfigurationError` if region or endpoint are wrong. Credentials may come later.
    """

    def __init__(
        self, name: str, requests_in_flight: int, *, read_timeout_seconds: float, clock: Clock | None = None
    ) -> None:
        self._name = name
        config = Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=read_timeout_seconds,
            # A retry inside the SDK would send a whole request again and hide which records had failed.
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=requests_in_flight,
            # botocore builds its own user agent again for each request, for a tenth of the request's CPU.
            user_agent=f"stockstream Boto3/{boto3.__version__}",
            parameter_validation=False,
        )

        def prepare(client: Any) -> None:
            _write_bodies(client)
            if clock is not None:
                keep_time(client, clock)

        self._aws = AwsClient("kinesis", config, prepare)

    def put(self, packets: Sequence[Packet]) -> PutResult:
        """See `Stream.put`."""
        try:
            response = self._aws.get().put_records(
                StreamName=self._name,
                Records=[{"Data": packet.data, "PartitionKey": packet.partition_key} for packet in packets],
            )
            if len(response.get("Records", ())) != len(packets):
                return _all_failed(packets, "connection", "the response does not match the request")
            failed = next((record for record in response["Records"] if record.get("ErrorCode")), None)
            detail = "" if failed is None else f"{failed['ErrorCode']}: {failed.get('ErrorMessage', '')}"
            return PutResult(tuple(map(_failure_of_record, response["Records"])), detail)
        except Exception as error:
            failure = failure_of(error)
            if failure in ("refused", "unexpected"):
                self._aws.renew_credentials()
            if failure == "unexpected":
                raise
            return _all_failed(packets, failure, _advice(error))

    def check(self) -> str:
        """See `Stream.check`."""
        try:
            response = self._aws.get().describe_stream_summary(StreamName=self._name)
            summary = response["StreamDescriptionSummary"]
            return f"stream {self._name} is {summary['StreamStatus']} with {summary['OpenShardCount']} open shards"
        except (ResponseParserError, KeyError, TypeError) as error:
            raise StreamUnreachable(f"stream {self._name}: the endpoint answers, but it is not Kinesis") from error
        except Exception as error:
            if failure_of(error) == "refused":
                self._aws.renew_credentials()
            raise StreamUnreachable(f"stream {self._name}: {_advice(error)}") from error


def _write_bodies(client: Any) -> None:
    """Have a client's PutRecords requests written by msgspec instead of botocore."""
    client.meta.events.register("provide-client-params.kinesis.PutRecords", _keep_parameters)
    client.meta.events.register("before-call.kinesis.PutRecords", _write_body)


def _keep_parameters(params: dict[str, Any], context: dict[str, Any], **_: object) -> dict[str, Any]:
    """Keep a request's parameters from botocore's serializer, and hand them to `_write_body`.

    That serializer is pure Python and takes four times the CPU of msgspec's. Endpoint, signature and the parsing of the
    response stay botocore's. Events: https://docs.aws.amazon.com/boto3/latest/guide/events.html
    """
    context["stockstream"] = params
    return params | {"Records": []}


def _write_body(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    params["body"] = msgspec.json.encode(context["stockstream"])


def _all_failed(packets: Sequence[Packet], reason: PutFailure, detail: str) -> PutResult:
    failures: list[PutFailure | None] = [reason] * len(packets)
    return PutResult(tuple(failures), detail)


def _failure_of_record(record: Mapping[str, Any]) -> PutFailure | None:
    code = record.get("ErrorCode")
    return failure_of_code(code) if code else None


def _advice(error: Exception) -> str:
    if isinstance(error, ClientError) and "ResourceNotFoundException" in str(error):
        return f"{error}; deploy it, or set PRODUCER_STREAM_NAME to a stream that exists"
    return in_words(error)
