"""SQS: the quarantine queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from processor_lambda.errors import Unavailable
from processor_lambda.ports import QuarantineMessage

BATCH_LIMIT = 10
BATCH_BYTES = 256 * 1024
"""The limit of before 2025, which holds in every emulator too; it is 1 MiB now:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html"""


class SqsQuarantine:
    """The queue. A message's body is a `QuarantineMessage` as JSON."""

    def __init__(self, connect: Callable[[], Any], url: str) -> None:
        self._connect, self._url = connect, url

    @cached_property
    def _client(self) -> Any:
        return self._connect()  # bad lines are rare, and a client costs a cold start some 10 ms

    def put(self, messages: Sequence[QuarantineMessage]) -> None:
        """See `ports.Quarantine`."""
        for batch in _batches([msgspec.json.encode(message).decode() for message in messages]):
            entries = [{"Id": str(index), "MessageBody": body} for index, body in enumerate(batch)]
            try:
                answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            except (ClientError, BotoCoreError) as error:
                raise Unavailable(f"SQS: {error}") from error
            if failed := answer.get("Failed"):
                raise Unavailable(f"SQS: {len(failed)} of {len(batch)} messages were not taken: {failed[0]}")


def _batches(bodies: list[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for body in bodies:
        if batch and (len(batch) == BATCH_LIMIT or size + len(body) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += len(body)
    if batch:
        yield batch
