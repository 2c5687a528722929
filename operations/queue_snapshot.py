"""A snapshot of the quarantine queue: all of its messages, hidden from other readers while a `with` block lasts.

SQS cannot show a message without hiding it from all other readers. The messages become visible again at the end of the
block, also after an interruption. If the program is killed, SQS shows them when their visibility timeout ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from operations.errors import Unavailable
from operations.ports import Queue, ReceivedMessage
from operations.quarantine import Entry, entries_of

MAX_CHARACTERS = 200_000_000
"""How much text the messages of a snapshot may have together, whatever its limit. A message has up to a million."""


class QueueSnapshot:
    """Takes at most `limit` messages, and the few more that are received together with the last of them.

    `on_progress` is called with the number of messages of each receive.
    """

    def __init__(
        self,
        queue: Queue,
        limit: int,
        on_progress: Callable[[int], None] = lambda _: None,
        *,
        max_characters: int = MAX_CHARACTERS,
    ) -> None:
        self._queue = queue
        self._limit = limit
        self._free = max_characters
        self._on_progress = on_progress
        self._messages: dict[str, ReceivedMessage] = {}
        self.entries: list[Entry] = []
        self.complete = False
        """Whether the queue had no more visible messages."""

    def __enter__(self) -> Self:
        try:
            self._receive()
        except BaseException:
            self._release()
            raise
        self.entries = entries_of(self._messages.values())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def delete(self, entries: Iterable[Entry]) -> None:
        """Delete entries from the queue, with all copies that the snapshot holds."""
        messages = [self._messages[copy.id] for entry in entries for copy in entry.copies if copy.id in self._messages]
        self._queue.delete(messages)
        for message in messages:
            del self._messages[message.id]

    def _receive(self) -> None:
        while len(self._messages) < self._limit and self._free > 0:
            received = self._queue.receive()
            new = sum(message.id not in self._messages for message in received)
            if not new:
                # If the queue repeats a message, reading took so long that the first ones are visible again.
                self.complete = not received
                return
            self._messages |= {message.id: message for message in received}
            self._free -= sum(len(message.body) for message in received)
            self._on_progress(new)

    def _release(self) -> None:
        messages, self._messages = self._messages, {}
        try:
            self._queue.release(list(messages.values()))
        except Unavailable:
            return  # SQS shows them by itself, and a failure that matters is reported where it happened
