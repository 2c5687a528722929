"""Tracks how far a shard is processed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from replica.event_source.records import Record


class Progress:
    """The checkpoint of a shard: every record up to it is finished, which means processed or discarded.

    Records beyond the checkpoint may be finished too. Counts start with the first record read. Not thread-safe.
    """

    def __init__(self) -> None:
        self.read_count = 0
        self.finished_count = 0
        """The number of records before the first unfinished one."""
        self.checkpoint: str | None = None
        """The sequence number of the last record before the first unfinished one; None at the start."""
        self._unfinished: deque[str] = deque()
        self._finished: set[str] = set()

    def read(self, record: Record) -> None:
        """Note that a record was read, after all others so far."""
        self.read_count += 1
        self._unfinished.append(record.sequence_number)

    def finish(self, records: Iterable[Record]) -> None:
        """Note that records are finished. They may finish in any order."""
        self._finished.update(record.sequence_number for record in records)
        while self._unfinished and self._unfinished[0] in self._finished:
            self.checkpoint = self._unfinished.popleft()
            self._finished.remove(self.checkpoint)
            self.finished_count += 1
