"""Kinesis: one PutRecords request, and what became of each record of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from botocore import exceptions
from botocore.exceptions import ClientError, HTTPClientError
from botocore.parsers import ResponseParserError

from operations.aws import answered
from operations.ports import Packet

# A retry inside the SDK would send a whole request again and hide which records had failed.
SETTINGS = {"retries": {"mode": "standard", "total_max_attempts": 1}}

_PASSING = {
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
    """A Kinesis data stream, through a client with `SETTINGS`."""

    def __init__(self, client: Any, name: str) -> None:
        self._client, self._name = client, name

    def put(self, packets: Sequence[Packet]) -> list[str | None]:
        """See `ports.Stream`."""
        with answered(f"stream {self._name}"):
            try:
                answer = self._client.put_records(
                    StreamName=self._name,
                    Records=[{"Data": packet.data, "PartitionKey": packet.partition_key} for packet in packets],
                )
            except ClientError as error:
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                if error.response["Error"]["Code"] not in _PASSING and status < _SERVER_ERROR:
                    raise
                return [str(error)] * len(packets)
            except (HTTPClientError, exceptions.ConnectionError, ResponseParserError) as error:
                return [str(error)] * len(packets)  # it may have been stored, and may so arrive twice
        records = answer.get("Records", ())
        if len(records) != len(packets):
            return ["an answer that is not to this request"] * len(packets)
        return [
            f"{record['ErrorCode']}: {record.get('ErrorMessage', '')}" if record.get("ErrorCode") else None
            for record in records
        ]
