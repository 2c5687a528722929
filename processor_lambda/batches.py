"""Messages in batches, as SNS and SQS take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

BATCH_LIMIT = 10
BATCH_BYTES = 256 * 1024
"""Of both; SQS takes a mebibyte since 2025, which not every emulator does:
https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html"""

T = TypeVar("T")


def batches(messages: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Messages in their order, in as few batches as can be; `size` says the bytes of one."""
    batch: list[T] = []
    total = 0
    for message in messages:
        more = size(message)
        if batch and (len(batch) == BATCH_LIMIT or total + more > BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(message)
        total += more
    if batch:
        yield batch
