"""SQS: the quarantine queue, read by whoever wants to look and put back.

SQS has no peek: whoever reads a message hides it from everybody else, for `HIDDEN_SECONDS` at the most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from aws_limits import MESSAGE_BATCH
from operations.aws import answered
from operations.errors import Unavailable
from operations.ports import Held

HIDDEN_SECONDS = 120
"""A command that is killed leaves its messages hidden for so long, and no longer."""
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html"""
_WAIT_SECONDS = 1
"""Any wait at all asks every server of the queue; none asks a sample, which may be the wrong one:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html"""


class SqsQueue:
    """A standard queue."""

    def __init__(self, client: Any, url: str) -> None:
        self._client, self._url = client, url

    def receive(self) -> list[Held]:
        """See `ports.Queue`."""
        with answered(f"queue {self._url}"):
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=MESSAGE_BATCH,
                VisibilityTimeout=HIDDEN_SECONDS,
                WaitTimeSeconds=_WAIT_SECONDS,
            )
        return [Held(each["MessageId"], each["ReceiptHandle"], each["Body"]) for each in answer.get("Messages", ())]

    def release(self, messages: Sequence[Held]) -> None:
        """See `ports.Queue`. One that cannot be shown at once is shown when its time is over."""
        for batch in _batches(messages):
            with answered(f"queue {self._url}"):
                self._client.change_message_visibility_batch(
                    QueueUrl=self._url, Entries=[entry | {"VisibilityTimeout": 0} for entry in _entries(batch)]
                )

    def delete(self, messages: Sequence[Held]) -> None:
        """See `ports.Queue`."""
        for batch in _batches(messages):
            with answered(f"queue {self._url}"):
                answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=_entries(batch))
            if failed := answer.get("Failed"):
                raise Unavailable(f"queue {self._url}: {len(failed)} messages were not deleted: {failed[0]}")

    def count(self) -> int:
        """See `ports.Queue`."""
        name = "ApproximateNumberOfMessages"
        with answered(f"queue {self._url}"):
            answer = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=[name])
        return int(answer["Attributes"][name])


def _batches(messages: Sequence[Held]) -> Iterator[Sequence[Held]]:
    for start in range(0, len(messages), MESSAGE_BATCH):
        yield messages[start : start + MESSAGE_BATCH]


def _entries(batch: Sequence[Held]) -> list[dict[str, Any]]:
    return [{"Id": str(index), "ReceiptHandle": message.receipt} for index, message in enumerate(batch)]
