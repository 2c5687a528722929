"""The Kinesis adapter: sends one PutRecords request, and reports the outcome of each of its records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    NoCredentialsError,
    NoRegionError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from producer_service.clock import Clock
from producer_service.errors import ConfigurationError, StreamUnreachable
from producer_service.packing import Packet
from producer_service.service_time import keep_time
from producer_service.stream import PutFailure, PutResult

CONNECT_TIMEOUT_SECONDS = 3

_THROTTLES = {
    "ProvisionedThroughputExceededException",
    "KMSThrottlingException",
    "LimitExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
}
_INTERNAL = {"InternalFailure", "InternalError", "ServiceUnavailable", "InternalServerError"}


class KinesisStream:
    """A Kinesis data stream. The SDK finds endpoint, region and credentials in its usual way.

    Every answer, even a refusal, tells the clock the time, and requests are signed with that time. Raises
    `ConfigurationError` if the SDK does not find what it needs.
    """

    def __init__(
        self, name: str, requests_in_flight: int, *, read_timeout_seconds: float, clock: Clock | None = None
    ) -> None:
        self._name = name
        try:
            self._client: Any = boto3.client(
                "kinesis",
                config=Config(
                    connect_timeout=CONNECT_TIMEOUT_SECONDS,
                    read_timeout=read_timeout_seconds,
                    # A retry inside the SDK would send a whole request again and hide which records had failed.
                    retries={"mode": "standard", "total_max_attempts": 1},
                    max_pool_connections=requests_in_flight,
                    # botocore builds its own user agent again for each request, for a tenth of the request's CPU.
                    user_agent=f"stockstream Boto3/{boto3.__version__}",
                    parameter_validation=False,
                ),
            )
        except NoRegionError as error:
            raise ConfigurationError(
                ["AWS_DEFAULT_REGION: missing; the SDK needs it, or a profile with a region, to find Kinesis"]
            ) from error
        except (BotoCoreError, ValueError) as error:
            raise ConfigurationError([f"the AWS settings of the environment are wrong: {error}"]) from error

        self._client.meta.events.register("provide-client-params.kinesis.PutRecords", _keep_parameters)
        self._client.meta.events.register("before-call.kinesis.PutRecords", _write_body)
        if clock is not None:
            keep_time(self._client, clock)

    def put(self, packets: Sequence[Packet]) -> PutResult:
        """See `Stream.put`."""
        try:
            response = self._client.put_records(
                StreamName=self._name,
                Records=[{"Data": packet.data, "PartitionKey": packet.partition_key} for packet in packets],
            )
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            return _all_failed(packets, _failure_of(error), str(error))
        if len(response.get("Records", ())) != len(packets):
            return _all_failed(packets, "connection", "the response does not match the request")
        failed = next((record for record in response["Records"] if record.get("ErrorCode")), None)
        detail = "" if failed is None else f"{failed['ErrorCode']}: {failed.get('ErrorMessage', '')}"
        return PutResult(tuple(map(_failure_of_record, response["Records"])), detail)

    def check(self) -> str:
        """See `Stream.check`."""
        try:
            summary = self._client.describe_stream_summary(StreamName=self._name)["StreamDescriptionSummary"]
        except (ClientError, BotoCoreError) as error:
            raise StreamUnreachable(f"stream {self._name}: {_advice(error)}") from error
        except (ResponseParserError, KeyError) as error:
            raise StreamUnreachable(f"stream {self._name}: the endpoint answers, but it is not Kinesis") from error
        return f"stream {self._name} is {summary['StreamStatus']} with {summary['OpenShardCount']} open shards"


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


def _failure_of(error: Exception) -> PutFailure:
    match error:
        case ClientError():
            return _failure_of_code(error.response["Error"]["Code"])
        case ReadTimeoutError() | ConnectTimeoutError():
            return "timeout"
        case NoCredentialsError():
            return "refused"
    return "connection"


def _failure_of_record(record: Mapping[str, Any]) -> PutFailure | None:
    code = record.get("ErrorCode")
    return _failure_of_code(code) if code else None


def _failure_of_code(code: str) -> PutFailure:
    if code in _THROTTLES:
        return "throttled"
    return "internal" if code in _INTERNAL or code.isdigit() else "refused"


def _advice(error: ClientError | BotoCoreError) -> str:
    if isinstance(error, ClientError) and error.response["Error"]["Code"] == "ResourceNotFoundException":
        return f"{error}; deploy it, or set PRODUCER_STREAM_NAME to a stream that exists"
    if isinstance(error, NoCredentialsError):
        return f"{error}; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    return str(error)
