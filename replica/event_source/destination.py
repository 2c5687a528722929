"""The on-failure destination: the port, the invocation record that it receives, and the fake."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from replica.event_source.delivery import Discarded
from replica.event_source.mapping import EventSourceMapping


class DestinationUnavailable(Exception):
    """The destination did not take an invocation record; the same one is to be put again."""


class Destination(Protocol):
    """Where invocation records of discarded batches go. Called from several threads at once."""

    @property
    def takes_payload(self) -> bool:
        """Whether the records themselves are sent along, as to S3, or their metadata only, as to SQS and SNS."""

    def put(self, key: str, invocation_record: bytes) -> None:
        """Store the JSON document; S3 under `key`, where putting it again changes nothing.

        Raises `DestinationUnavailable`.
        """


class FakeDestination:
    """Keeps what was put, per key, and fails as often as told."""

    def __init__(self, *, takes_payload: bool = True, failures: int = 0) -> None:
        self.takes_payload = takes_payload
        self.puts: list[tuple[str, bytes]] = []
        self._failures = failures

    def put(self, key: str, invocation_record: bytes) -> None:
        """Keep the document."""
        if self._failures > 0:
            self._failures -= 1
            raise DestinationUnavailable("told to fail")
        self.puts.append((key, invocation_record))


def invocation_record(
    discarded: Discarded, mapping: EventSourceMapping, *, now: datetime, request_id: str, payload: bytes | None
) -> bytes:
    """The JSON document that Lambda sends for a discarded batch.

    Its form is that of the example in "Retain discarded batch records for a Kinesis Data Streams event source"
    (docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html). `payload`, the whole event as a string,
    is "Only available in S3". Records of which none was ever sent have no `responseContext`, and `request_id` then
    stands for an invocation's own.
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
            "streamArn": mapping.event_source_arn,
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
