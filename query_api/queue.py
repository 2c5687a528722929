"""SQS: how many messages are in the quarantine queue."""

from __future__ import annotations

import msgspec

from aws_requests import Service
from query_api.ports import Depth

_HEADERS = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.GetQueueAttributes"}
_MESSAGES, _IN_FLIGHT = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"


class _Response(msgspec.Struct):
    Attributes: dict[str, str]


class SqsQueue:
    """A queue of SQS."""

    def __init__(self, service: Service, url: str) -> None:
        self._service, self._url = service, url

    def depth(self) -> Depth:
        """See `ports.Queue`."""
        request = msgspec.json.encode({"QueueUrl": self._url, "AttributeNames": [_MESSAGES, _IN_FLIGHT]})
        found = self._service.call("GetQueueAttributes", _HEADERS, request, _Response).Attributes
        return Depth(int(found.get(_MESSAGES, "0")), int(found.get(_IN_FLIGHT, "0")))
