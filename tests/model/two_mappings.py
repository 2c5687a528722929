"""Two mappings that deliver one stream to one function, as while CloudFormation replaces the mapping of a stage."""

from __future__ import annotations

import random

from replica.event_source.mapping import EventSourceMapping
from replica.event_source.records import Record as KinesisRecord
from tests.model.event_source import EventSource
from tests.model.lambda_function import Function, Scheduler
from tests.model.streams import Stream

MOST_ALONE, MOST_TOGETHER = 6, 40
"""The most batches that the old mapping delivers before the new one, and then both together."""


class TwoMappings:
    """The old mapping alone, then both at once, and then the new one alone. Each begins with the first record."""

    def __init__(
        self,
        stream: Stream,
        mapping: EventSourceMapping,
        function: Function,
        scheduler: Scheduler,
        rng: random.Random,
    ) -> None:
        self._old = EventSource(stream, mapping, function, scheduler)
        self._new = EventSource(stream, mapping, function, scheduler)
        self.discarded: list[KinesisRecord] = []
        self._new.discarded = self._old.discarded = self.discarded
        self._rng = rng
        self._alone = rng.randint(0, MOST_ALONE)
        self._together = rng.randint(0, MOST_TOGETHER)

    def drain(self) -> None:
        """Deliver everything that is in the stream. What the old mapping has left, the new one delivers."""
        while self._alone:
            self._alone -= 1
            self._old.deliver()
        while self._together:
            self._together -= 1
            self._rng.choice((self._old, self._new)).deliver()
        self._new.drain()
