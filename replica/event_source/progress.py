"""How far a shard is processed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from replica.event_source.records import Record


class Progress:
    """The checkpoint of a shard: everything up to it is processed or discarded, whatever finished beyond it.

    Counts are of records since reading began. Not thread-safe.
    """

    def __init__(self) -> None:
        self.read_count = 0
        self.finished_count = 0
        """How many of the first records read are finished without a gap."""
        self.checkpoint: str | None = None
        """The sequence number of the last of those."""
        self._unfinished: deque[str] = deque()
        self._finished: set[str] = set()

    def read(self, record: Record) -> None:
        """A record was read, after all others so far."""
        self.read_count += 1
        self._unfinished.append(record.sequence_number)

    def finish(self, records: Iterable[Record]) -> None:
        """Records that were read are processed or discarded, in any order among others."""
        self._finished.update(record.sequence_number for record in records)
        while self._unfinished and self._unfinished[0] in self._finished:
            self.checkpoint = self._unfinished.popleft()
            self._finished.remove(self.checkpoint)
            self.finished_count += 1
