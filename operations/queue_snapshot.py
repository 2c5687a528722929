"""A sweep through the quarantine queue: everything in it, held for as long as a `with` block lasts.

SQS has no peek: to see a message is to hide it from everybody else. So what is seen is shown again at the end of the
block, also after an interruption; if the program is killed, SQS shows it by itself after a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from operations.errors import Unavailable
from operations.ports import Held, Queue
from operations.quarantine import Entry, entries_of


class Sweep:
    """Holds at most `limit` messages, or the few more that came with the last of them."""

    def __init__(self, queue: Queue, limit: int, seen: Callable[[int], None] = lambda _: None) -> None:
        self._queue = queue
        self._limit = limit
        self._seen = seen
        self._held: dict[str, Held] = {}
        self.entries: list[Entry] = []
        self.complete = False
        """Whether the queue had nothing more that it would show."""

    def __enter__(self) -> Self:
        try:
            self._receive()
        except BaseException:
            self._release()
            raise
        self.entries = entries_of(self._held.values())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def delete(self, entries: Iterable[Entry]) -> None:
        """Delete entries from the queue, with every copy that is held."""
        held = [self._held[copy.id] for entry in entries for copy in entry.copies if copy.id in self._held]
        self._queue.delete(held)
        for each in held:
            del self._held[each.id]

    def _receive(self) -> None:
        while len(self._held) < self._limit:
            received = self._queue.receive()
            fresh = sum(each.id not in self._held for each in received)
            if not fresh:
                self.complete = not received  # else it took so long that what was hidden first shows again
                return
            self._held |= {each.id: each for each in received}
            self._seen(fresh)

    def _release(self) -> None:
        held, self._held = self._held, {}
        try:
            self._queue.release(list(held.values()))
        except Unavailable:
            return  # SQS shows them by itself; whatever made it fail is told where it mattered
