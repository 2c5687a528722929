"""Kinesis: one PutRecords request, and the outcome of each of its records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from botocore import exceptions
from botocore.exceptions import ClientError, HTTPClientError
from botocore.parsers import ResponseParserError

from operations.aws import translated_errors
from operations.ports import Packet

# A retry inside the SDK would send the whole request again, and hide which records had failed.
SETTINGS = {"retries": {"mode": "standard", "total_max_attempts": 1}}

_TRANSIENT = {
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "KMSThrottlingException",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
}
_SERVER_ERROR = 500


class KinesisStream:
    """A Kinesis data stream, through a client that was made with `SETTINGS`."""

    def __init__(self, client: Any, name: str) -> None:
        self._client, self._name = client, name

    def put(self, packets: Sequence[Packet]) -> list[str | None]:
        """See `ports.Stream`."""
        with translated_errors(f"stream {self._name}"):
            try:
                answer = self._client.put_records(
                    StreamName=self._name,
                    Records=[{"Data": packet.data, "PartitionKey": packet.partition_key} for packet in packets],
                )
            except ClientError as error:
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                if error.response["Error"]["Code"] not in _TRANSIENT and status < _SERVER_ERROR:
                    raise
                return [str(error)] * len(packets)
            except (HTTPClientError, exceptions.ConnectionError, ResponseParserError) as error:
                # Kinesis may have stored the records, so they may arrive twice. That has no effect downstream.
                return [str(error)] * len(packets)
        records = answer.get("Records", ())
        if len(records) != len(packets):
            return [f"the response has {len(records)} records, and the request had {len(packets)}"] * len(packets)
        return [
            f"{record['ErrorCode']}: {record.get('ErrorMessage', '')}" if record.get("ErrorCode") else None
            for record in records
        ]
