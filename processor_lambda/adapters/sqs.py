"""SQS: the quarantine queue."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from aws_requests import Service, Unavailable
from processor_lambda.adapters.batches import batches
from processor_lambda.ports import QuarantineMessage

_HEADERS = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.SendMessageBatch"}


class _Answer(msgspec.Struct):
    # AWS leaves out whichever of the two is empty, and an answer without either is none of SQS's.
    Successful: list[msgspec.Raw] = []
    Failed: list[msgspec.Raw] = []


class SqsQuarantine:
    """The queue. A message's body is a `QuarantineMessage` as JSON."""

    def __init__(self, service: Service, url: str) -> None:
        self._service, self._url = service, url

    def put(self, messages: Sequence[QuarantineMessage]) -> None:
        """See `ports.Quarantine`."""
        for batch in batches([msgspec.json.encode(message).decode() for message in messages], len):
            entries = [{"Id": str(index), "MessageBody": body} for index, body in enumerate(batch)]
            request = msgspec.json.encode({"QueueUrl": self._url, "Entries": entries})
            answer = self._service.call("SendMessageBatch", _HEADERS, request, _Answer)
            if len(answer.Successful) != len(batch):
                failed = (
                    bytes(answer.Failed[0]).decode(errors="replace") if answer.Failed else "SQS says nothing of them"
                )
                raise Unavailable(
                    f"SQS: {len(batch) - len(answer.Successful)} of {len(batch)} messages were not taken: {failed}"
                )
