"""How many rows a backfill writes at once, so that the stream and the API, which use the same table, stay usable. Pure.

A table that answers at once gets more requests, and one whose answers take longer gets fewer, as TCP Vegas does with a
network. The answers take longer if the table throttles, since the SDK waits before it sends a request again, and if
requests queue, as they do in an emulator. The fastest answers so far are the measure, since the time that a request
takes depends on the way to the table.
"""

from __future__ import annotations

import msgspec

MOST_WRITERS = 8
"""The most rows that are written at once. Each needs a request of its own, because it has a condition."""
SLOW = 3.0
"""Answers that take so many times as long as the fastest ones are slow."""
FORGOTTEN = 1.02
"""What is fast is taken to be so many times slower after each slow write that was alone: a table that has become
ten times slower for good is asked for more again after some 60 of them."""


class WritePace(msgspec.Struct, frozen=True):
    """How to write the next rows. It is a value: `after` returns another one."""

    writers: int = 1
    """How many rows to write at once."""
    pause: float = 0.0
    """How many seconds to wait before that."""
    fastest: float = float("inf")
    """The shortest time that writes have taken, in seconds."""

    def after(self, seconds: float) -> WritePace:
        """The pace after rows were written at once, half of which took longer than this.

        If even a single write is slow, the table gets as much time for others.
        """
        fastest = min(self.fastest, seconds)
        if seconds <= SLOW * fastest:
            return WritePace(min(MOST_WRITERS, self.writers + 1), 0.0, fastest)
        if self.writers > 1:
            return WritePace(self.writers // 2, 0.0, fastest)
        return WritePace(1, seconds, FORGOTTEN * fastest)
