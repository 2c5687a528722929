"""Reads a shard by shared polling: GetRecords, once a second."""

from __future__ import annotations

from collections.abc import Callable

from replica.event_source.invoker import Clock
from replica.event_source.shards import IteratorExpired, Position, ShardRead, StreamReader


class ShardCursor:
    """A `ShardReader` that polls. It reads each record once, also when an iterator expires.

    `pause(seconds)` waits, and returns True at once when the runner stops. After a read that reached the tip, the next
    one waits for `interval_seconds`.
    """

    def __init__(
        self,
        stream: StreamReader,
        shard_id: str,
        position: Position,
        *,
        clock: Clock,
        pause: Callable[[float], bool],
        interval_seconds: float,
    ) -> None:
        self._stream = stream
        self._shard_id = shard_id
        self._position = position
        self._clock = clock
        self._pause = pause
        self._interval_seconds = interval_seconds
        self._iterator: str | None = None
        self._at_tip = False

    def open(self) -> None:
        """Fix the position. With LATEST, the cursor reads what is put from now on. Raises `StreamUnavailable`."""
        now = self._clock.now()
        self._iterator = self._stream.shard_iterator(self._shard_id, self._position)
        if self._position.type == "LATEST":
            # If this iterator expired before it returned a record, a new one at LATEST would skip records.
            self._position = Position(type="AT_TIMESTAMP", timestamp=now)

    def read(self) -> ShardRead:
        """The next records, when the next poll is due. Raises `StreamUnavailable`."""
        if self._at_tip and self._pause(self._interval_seconds):
            return ShardRead()
        started_at = self._clock.monotonic()
        if self._iterator is None:
            self.open()
        try:
            page = self._stream.get_records(self._shard_id, self._iterator or "")
        except IteratorExpired:
            self._iterator = None
            self._at_tip = False
            return ShardRead()
        self._iterator = page.next_iterator
        self._at_tip = page.at_tip
        if page.records:
            self._position = Position(type="AFTER_SEQUENCE_NUMBER", sequence_number=page.records[-1].sequence_number)
        return ShardRead(
            records=page.records,
            complete_to=started_at if page.at_tip else None,
            ended=page.next_iterator is None,
        )

    def interrupt(self) -> None:
        """Do nothing. `pause` ends by itself when the runner stops."""

    def close(self) -> None:
        """Do nothing. An iterator needs no end."""
