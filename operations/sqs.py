"""SQS: the quarantine queue.

SQS cannot show a message without hiding it from all other readers. Here it is hidden for at most `HIDDEN_SECONDS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from aws_limits import MESSAGE_BATCH
from operations.aws import translated_errors
from operations.errors import Unavailable
from operations.ports import ReceivedMessage

HIDDEN_SECONDS = 120
"""The visibility timeout. If a command is killed, SQS shows its messages again after this time."""
_WAIT_SECONDS = 1
"""With any wait, SQS asks all servers of the queue. Without one, it asks a sample, and may miss messages:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html"""


class SqsQueue:
    """A standard queue."""

    def __init__(self, client: Any, url: str) -> None:
        self._client, self._url = client, url

    def receive(self) -> list[ReceivedMessage]:
        """See `ports.Queue`."""
        with translated_errors(f"queue {self._url}"):
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=MESSAGE_BATCH,
                VisibilityTimeout=HIDDEN_SECONDS,
                WaitTimeSeconds=_WAIT_SECONDS,
            )
        return [
            ReceivedMessage(each["MessageId"], each["ReceiptHandle"], each["Body"])
            for each in answer.get("Messages", ())
        ]

    def release(self, messages: Sequence[ReceivedMessage]) -> None:
        """See `ports.Queue`. A message that SQS does not release now becomes visible when its timeout ends."""
        for batch in _batches(messages):
            with translated_errors(f"queue {self._url}"):
                self._client.change_message_visibility_batch(
                    QueueUrl=self._url, Entries=[entry | {"VisibilityTimeout": 0} for entry in _entries(batch)]
                )

    def delete(self, messages: Sequence[ReceivedMessage]) -> None:
        """See `ports.Queue`."""
        for batch in _batches(messages):
            with translated_errors(f"queue {self._url}"):
                answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=_entries(batch))
            if failed := answer.get("Failed"):
                raise Unavailable(f"queue {self._url}: {len(failed)} messages were not deleted: {failed[0]}")

    def count(self) -> int:
        """See `ports.Queue`."""
        name = "ApproximateNumberOfMessages"
        with translated_errors(f"queue {self._url}"):
            answer = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=[name])
        return int(answer["Attributes"][name])


def _batches(messages: Sequence[ReceivedMessage]) -> Iterator[Sequence[ReceivedMessage]]:
    for start in range(0, len(messages), MESSAGE_BATCH):
        yield messages[start : start + MESSAGE_BATCH]


def _entries(batch: Sequence[ReceivedMessage]) -> list[dict[str, Any]]:
    return [{"Id": str(index), "ReceiptHandle": message.receipt} for index, message in enumerate(batch)]
