"""SQS: sends messages to the quarantine queue."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from aws_requests import Service, Unavailable
from processor_lambda.adapters.batches import batches
from processor_lambda.ports import QuarantineMessage

_HEADERS = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.SendMessageBatch"}


class _Response(msgspec.Struct):
    # SQS omits a list that would be empty.
    Successful: list[msgspec.Raw] = []
    Failed: list[msgspec.Raw] = []


class SqsQuarantine:
    """The quarantine queue. The body of a message is a `QuarantineMessage` as JSON."""

    def __init__(self, service: Service, url: str) -> None:
        self._service, self._url = service, url

    def put(self, messages: Sequence[QuarantineMessage]) -> None:
        """See `ports.Quarantine`."""
        for batch in batches([msgspec.json.encode(message).decode() for message in messages], len):
            entries = [{"Id": str(index), "MessageBody": body} for index, body in enumerate(batch)]
            request = msgspec.json.encode({"QueueUrl": self._url, "Entries": entries})
            response = self._service.call("SendMessageBatch", _HEADERS, request, _Response)
            not_sent = len(batch) - len(response.Successful)
            if not_sent:
                reason = bytes(response.Failed[0]).decode(errors="replace") if response.Failed else "no reason given"
                raise Unavailable(f"SQS did not accept {not_sent} of {len(batch)} messages: {reason}")
