"""How records gather to a batch."""

from __future__ import annotations

from typing import NamedTuple

from aws_limits import LAMBDA_PAYLOAD_BYTES
from replica.event_source.records import Record

"""Lambda's limit on the payload of a synchronous invocation. It cannot be modified."""

_ENVELOPE_BYTES = len(b'{"Records":[]}')


class Gathered(NamedTuple):
    """A record, and the bytes that it adds to the payload of an invocation."""

    record: Record
    size: int


class Gathering:
    """One batch while it gathers. Neither waits nor knows the time: the caller says it, in monotonic seconds.

    "Before invoking the function, Lambda continues to read records from the event source until it has gathered a full
    batch, the batching window expires, or the batch reaches the payload limit of 6 MB"
    (docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html). The window opens with the first record. A window of 0
    expires at once: such a batch is what is there. A record that is over the payload limit alone makes a batch alone.
    """

    def __init__(self, batch_size: int, window_seconds: float, max_payload_bytes: int = LAMBDA_PAYLOAD_BYTES) -> None:
        self._batch_size = batch_size
        self._window_seconds = window_seconds
        self._room = max_payload_bytes - _ENVELOPE_BYTES
        self._records: list[Record] = []
        self._opened_at = 0.0
        self._overflowed = False

    @property
    def records(self) -> tuple[Record, ...]:
        """What has been gathered, in order."""
        return tuple(self._records)

    def offer(self, gathered: Gathered, now: float) -> bool:
        """Take the record; False, and the batch is whole, when it is full or the record has no room in it."""
        if len(self._records) >= self._batch_size or self._overflowed:
            return False
        if self._records and gathered.size > self._room:
            self._overflowed = True
            return False
        if not self._records:
            self._opened_at = now
        self._records.append(gathered.record)
        self._room -= gathered.size
        return True

    def seconds_left(self, now: float) -> float | None:
        """How long to go on gathering: 0 when the batch is whole, None while it is empty."""
        if not self._records:
            return None
        if self._overflowed or self._room <= 0 or len(self._records) >= self._batch_size:
            return 0.0
        return max(0.0, self._opened_at + self._window_seconds - now)
