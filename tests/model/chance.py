"""Courses of events by seed: what befalls a batch, who finishes late, and how the mapping is set."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import get_args
from unittest.mock import patch

from aws_limits import MESSAGE_BATCH
from processor_lambda.records import Record
from replica.event_source.mapping import UNLIMITED, EventSourceMapping
from tests.model.lambda_model import CALLS, Blow, BlowKind, Instance, Invocation
from tests.model.runs import REAL, Build, Run, play
from tests.model.streams import random_story

ALL_KINDS: tuple[BlowKind, ...] = (*get_args(BlowKind), "abandoned", "served in part")
FATAL: tuple[BlowKind, ...] = ("killed", "failed")
AIMS: dict[BlowKind, Sequence[str | None]] = {"abandoned": (None,), **dict.fromkeys(FATAL, (None, "states.raise_mark"))}
"""One in two is kept for a mark: of a batch's calls few stand between the marks of its lanes."""


class Chance:
    """A director who throws dice: deterministic by seed, and kind after a number of faults."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._risk = rng.choice((0.2, 0.4, 0.7))
        self._faults_left = rng.randint(0, 9)
        self._kinds: tuple[BlowKind, ...] = rng.choice(
            (ALL_KINDS, ALL_KINDS, ("abandoned",), ("abandoned",), ("served in part",))
        )
        self._haste = rng.choice((0.0, 0.03, 0.15))
        """How likely an abandoned invocation is to act, at each point of another."""
        self._max_instances = rng.randint(1, 4)
        self._max_batch = rng.choice((1, 3, 8))

    def shard(self, waiting: Sequence[tuple[str, int]]) -> tuple[str, int]:
        """See `Director`."""
        return self._rng.choice(waiting)

    def batch_size(self, waiting: int) -> int:
        """See `Director`."""
        return self._rng.randint(1, min(waiting, self._max_batch))

    def instance(self, idle: Sequence[Instance]) -> Instance | None:
        """See `Director`. New ones now and then, so that others go stale."""
        if idle and (len(idle) >= self._max_instances or self._rng.random() < 0.7):
            return self._rng.choice(idle)
        return None

    def fate(self, records: Sequence[Record]) -> Sequence[Blow]:
        """See `Director`."""
        if self._faults_left == 0 or self._rng.random() > self._risk:
            return ()
        self._faults_left -= 1
        kind = self._rng.choice(self._kinds)
        call = self._rng.choice((AIMS | CALLS)[kind])
        point = self._rng.randrange(6 + 8 * len(records) if call is None else self._rng.choice((8, 8 * len(records))))
        blows = [Blow(point, kind, call, holes=self._rng.getrandbits(MESSAGE_BATCH))]
        while blows[-1].kind not in FATAL and self._rng.random() < 0.3:
            point += self._rng.randrange(10)
            blows.append(Blow(point, self._rng.choice(FATAL)))
        return blows

    def meanwhile(self, waiting: Sequence[Invocation], call: str) -> tuple[Invocation, int | None] | None:  # noqa: ARG002  (chance does not look)
        """See `Director`."""
        if self._rng.random() >= self._haste:
            return None
        return self._rng.choice(waiting), self._rng.choice((1, 2, 4, 8, None))


def mapping_of(*, bisect: bool, retries: int, factor: int = 1, max_age_seconds: int = UNLIMITED) -> EventSourceMapping:
    """A mapping like the deployed one, but for these."""
    return EventSourceMapping(
        uuid="model",
        event_source_arn="arn:aws:kinesis:us-east-1:000000000000:stream/quotes",
        function_arn="arn:aws:lambda:us-east-1:000000000000:function:processor",
        starting_position="TRIM_HORIZON",
        bisect_batch_on_function_error=bisect,
        maximum_retry_attempts=retries,
        maximum_record_age_in_seconds=max_age_seconds,
        parallelization_factor=factor,
        function_response_types=("ReportBatchItemFailures",),
    )


STORIES = 100
MAX_PUBLICATIONS = "processor_lambda.fold.MAX_PUBLICATIONS"


def play_seed(seed: int, build: Build = REAL) -> Run:
    """The run of a seed: a story, a mapping and a course of events that it determines."""
    rng = random.Random(seed)
    mapping = mapping_of(
        bisect=rng.random() < 0.5,
        retries=rng.choice((UNLIMITED, UNLIMITED, 0, 1)),
        factor=rng.choice((1, 1, 2)),
        max_age_seconds=rng.choice((UNLIMITED, UNLIMITED, 60)),
    )
    with patch(MAX_PUBLICATIONS, rng.choice((1, 3, 250))):
        return play(
            random_story(rng.randrange(STORIES)),
            Chance(rng),
            mapping,
            build,
            kill_at_last=rng.random() < 0.5,
            marks_read_first=rng.random() < 0.5,
            row_resolution=rng.choice(("every", "every", "minute")),
        )
