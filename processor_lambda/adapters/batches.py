"""Messages in batches, as SNS and SQS take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from aws_limits import MESSAGE_BATCH, MESSAGE_BATCH_BYTES

T = TypeVar("T")


def batches(messages: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Messages in their order, in as few batches as can be; `size` says the bytes of one."""
    batch: list[T] = []
    total = 0
    for message in messages:
        more = size(message)
        if batch and (len(batch) == MESSAGE_BATCH or total + more > MESSAGE_BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(message)
        total += more
    if batch:
        yield batch
