"""Builds the batch of one invocation."""

from __future__ import annotations

from typing import NamedTuple

from aws_limits import LAMBDA_PAYLOAD_BYTES
from replica.event_source.records import Record

_ENVELOPE_BYTES = len(b'{"Records":[]}')


class SizedRecord(NamedTuple):
    """A record, and the number of bytes that it adds to the payload of an invocation."""

    record: Record
    size: int


class BatchBuilder:
    """Builds one batch. It never waits and reads no clock: the caller passes the time, in monotonic seconds.

    "Before invoking the function, Lambda continues to read records from the event source until it has gathered a full
    batch, the batching window expires, or the batch reaches the payload limit of 6 MB"
    (docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html). The window starts with the first record. A window of 0
    expires at once, so such a batch holds the records that are there. A single record above the payload limit is a
    batch of its own.
    """

    def __init__(self, batch_size: int, window_seconds: float, max_payload_bytes: int = LAMBDA_PAYLOAD_BYTES) -> None:
        self._batch_size = batch_size
        self._window_seconds = window_seconds
        self._room = max_payload_bytes - _ENVELOPE_BYTES
        self._records: list[Record] = []
        self._started_at = 0.0
        self._overflowed = False

    @property
    def records(self) -> tuple[Record, ...]:
        """The records of the batch so far, in order."""
        return tuple(self._records)

    def offer(self, sized: SizedRecord, now: float) -> bool:
        """Add the record and return True, or return False if the batch is complete without it."""
        if len(self._records) >= self._batch_size or self._overflowed:
            return False
        if self._records and sized.size > self._room:
            self._overflowed = True
            return False
        if not self._records:
            self._started_at = now
        self._records.append(sized.record)
        self._room -= sized.size
        return True

    def seconds_left(self, now: float) -> float | None:
        """How long to wait for more records: 0 if the batch is complete, None if it is still empty."""
        if not self._records:
            return None
        if self._overflowed or self._room <= 0 or len(self._records) >= self._batch_size:
            return 0.0
        return max(0.0, self._started_at + self._window_seconds - now)
