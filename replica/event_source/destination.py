"""The port to the on-failure destination, and the invocation record that it receives."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from replica.event_source.delivery import Discarded
from replica.event_source.mapping import EventSourceMapping


class DestinationUnavailable(Exception):
    """The destination did not accept an invocation record. The caller puts the same one again."""


class Destination(Protocol):
    """Receives the invocation records of discarded batches. Called from several threads at once."""

    @property
    def takes_payload(self) -> bool:
        """Whether an invocation record includes the records, as for S3, or only their metadata, as for SQS and SNS."""

    def put(self, key: str, invocation_record: bytes) -> None:
        """Store the JSON document. S3 stores it under `key`, where a second put of it changes nothing.

        Raises `DestinationUnavailable`.
        """


def invocation_record(
    discarded: Discarded, mapping: EventSourceMapping, *, now: datetime, request_id: str, payload: bytes | None
) -> bytes:
    """The JSON document that Lambda sends for a discarded batch.

    It has the form of the example in "Retain discarded batch records for a Kinesis Data Streams event source"
    (docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html). `payload` is the whole event as a
    string, and "Only available in S3". Records that were never sent have no `responseContext`; their document contains
    `request_id` in place of the id of an invocation.
    """
    first, last = discarded.records[0], discarded.records[-1]
    request: dict[str, Any] = {
        "requestId": request_id if discarded.last is None else discarded.last.request_id,
        "functionArn": mapping.function_arn,
        "condition": discarded.condition,
        "approximateInvokeCount": discarded.invocations,
    }
    document: dict[str, Any] = {"requestContext": request}
    if discarded.last is not None:
        response: dict[str, Any] = {
            "statusCode": discarded.last.status_code,
            "executedVersion": discarded.last.executed_version,
        }
        if discarded.last.function_error is not None:
            response["functionError"] = discarded.last.function_error
        document["responseContext"] = response
    document |= {
        "version": "1.0",
        "timestamp": _timestamp(now),
        "KinesisBatchInfo": {
            "shardId": first.shard_id,
            "startSequenceNumber": first.sequence_number,
            "endSequenceNumber": last.sequence_number,
            "approximateArrivalOfFirstRecord": _timestamp(first.approximate_arrival_timestamp),
            "approximateArrivalOfLastRecord": _timestamp(last.approximate_arrival_timestamp),
            "batchSize": len(discarded.records),
            "streamArn": mapping.stream_arn,
        },
    }
    if payload is not None:
        document["payload"] = payload.decode()
    return msgspec.json.encode(document)


def object_key(mapping: EventSourceMapping, shard_id: str, now: datetime, uuid: str) -> str:
    """The S3 key of an invocation record: `aws/lambda/<ESM-UUID>/<shardID>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<uuid>`."""
    return f"aws/lambda/{mapping.uuid}/{shard_id}/{now.astimezone(UTC):%Y/%m/%d/%Y-%m-%dT%H.%M.%S}-{uuid}"


def _timestamp(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
