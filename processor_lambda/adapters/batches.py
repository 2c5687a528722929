"""Divides messages into batches that SNS and SQS accept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from aws_limits import MESSAGE_BATCH, MESSAGE_BATCH_BYTES

T = TypeVar("T")


def batches(messages: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """The messages in their order, in batches as large as possible. `size` gives the bytes of a message."""
    batch: list[T] = []
    batch_bytes = 0
    for message in messages:
        message_bytes = size(message)
        if batch and (len(batch) == MESSAGE_BATCH or batch_bytes + message_bytes > MESSAGE_BATCH_BYTES):
            yield batch
            batch, batch_bytes = [], 0
        batch.append(message)
        batch_bytes += message_bytes
    if batch:
        yield batch
