"""The properties of a Kinesis event source mapping, as Lambda's API returns them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from replica.errors import ReplicaError

UNLIMITED = -1
"""The value of MaximumRetryAttempts and MaximumRecordAgeInSeconds for "until the record expires in the stream"."""

_SOURCE_ARN = re.compile(r"arn:[^:]+:kinesis:[^:]*:[^:]*:stream/[\w.-]+(/consumer/[\w.-]+:\d+)?")
"""The ARN of a stream, or of a consumer with the second of its creation, as RegisterStreamConsumer gives it."""

_UNSUPPORTED = ("FilterCriteria", "TumblingWindowInSeconds")


class UnsupportedMapping(ReplicaError):
    """The mapping has a property that the replica does not support. The message says which, and why."""


class OnFailure(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The destination of discarded batches."""

    destination: str | None = None
    """The ARN of an S3 bucket, an SQS queue or an SNS topic; None to drop the batches."""


class DestinationConfig(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The destinations of a mapping. Kinesis mappings have one for failures only."""

    on_failure: OnFailure = OnFailure()


class EventSourceMapping(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """An event source mapping whose source is a Kinesis data stream, or a registered consumer of one.

    The names, ranges and defaults are those of "Lambda parameters for Amazon Kinesis Data Streams event source
    mappings" (docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html).
    """

    uuid: str = msgspec.field(name="UUID")
    event_source_arn: str
    """"The ARN of the data stream or a stream consumer" (CreateEventSourceMapping)."""
    function_arn: str
    starting_position: Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"]
    starting_position_timestamp: datetime | None = None
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100
    maximum_batching_window_in_seconds: Annotated[int, msgspec.Meta(ge=0, le=300)] = 0
    parallelization_factor: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1
    bisect_batch_on_function_error: bool = False
    maximum_retry_attempts: Annotated[int, msgspec.Meta(ge=-1, le=10_000)] = UNLIMITED
    maximum_record_age_in_seconds: Annotated[int, msgspec.Meta(ge=-1, le=604_800)] = UNLIMITED
    function_response_types: tuple[Literal["ReportBatchItemFailures"], ...] = ()
    destination_config: DestinationConfig = DestinationConfig()

    @classmethod
    def from_response(cls, response: Mapping[str, object]) -> EventSourceMapping:
        """The mapping of a `GetEventSourceMapping` response. Absent and null properties have AWS's defaults.

        Raises `UnsupportedMapping` for a value out of AWS's range, for a source that is not a Kinesis data stream, and
        for a filter or a tumbling window. Ignoring one of these would deliver other batches than Lambda does.
        """
        for name in _UNSUPPORTED:
            if response.get(name):
                raise UnsupportedMapping(f"the mapping has {name}, which the replica does not support")
        try:
            mapping = msgspec.convert({name: value for name, value in response.items() if value is not None}, cls)
        except msgspec.ValidationError as error:
            raise UnsupportedMapping(str(error)) from error
        if not _SOURCE_ARN.fullmatch(mapping.event_source_arn):
            raise UnsupportedMapping(
                f"{mapping.event_source_arn} is not the ARN of a Kinesis data stream or of a consumer of one"
            )
        if (mapping.starting_position == "AT_TIMESTAMP") != (mapping.starting_position_timestamp is not None):
            raise UnsupportedMapping(
                "StartingPositionTimestamp is required with StartingPosition AT_TIMESTAMP, and allowed only with it"
            )
        return mapping

    @property
    def stream_arn(self) -> str:
        """The ARN of the stream, without the consumer."""
        return self.event_source_arn.partition("/consumer/")[0]

    @property
    def consumer_arn(self) -> str | None:
        """The ARN of the registered consumer through which to read (enhanced fan-out); None for shared polling."""
        return self.event_source_arn if "/consumer/" in self.event_source_arn else None

    @property
    def region(self) -> str:
        """The AWS region of the stream."""
        return self.event_source_arn.split(":")[3]

    @property
    def reports_batch_item_failures(self) -> bool:
        """Whether the function reports which records failed."""
        return "ReportBatchItemFailures" in self.function_response_types

    @property
    def on_failure_destination(self) -> str | None:
        """The ARN of the destination of discarded batches; None if they are dropped."""
        return self.destination_config.on_failure.destination or None
