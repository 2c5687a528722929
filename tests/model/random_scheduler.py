"""Random runs: a seed determines the scenario, the event source mapping, and every decision during the run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import chain, count
from typing import get_args
from unittest.mock import patch

from aws_limits import MESSAGE_BATCH
from processor_lambda.records import Record
from replica.event_source.mapping import UNLIMITED, EventSourceMapping
from tests.model.cloud import ItemKind
from tests.model.event_source import EventSource
from tests.model.lambda_function import CALLS, Fault, FaultKind, Instance, Invocation
from tests.model.runs import REAL, Build, MakeSource, Run, play
from tests.model.scenarios import random_scenario
from tests.model.streams import SYMBOLS

ALL_KINDS: tuple[FaultKind, ...] = (*get_args(FaultKind), "abandoned", "partial")
"""The kinds of faults. Two of them are listed twice, so that they are more likely."""
FATAL: tuple[FaultKind, ...] = ("killed", "failed")
TARGETS: dict[FaultKind, Sequence[str | None]] = {
    "abandoned": (None, None, "states.write_checkpoint"),
    **dict.fromkeys(FATAL, (None, None, "states.raise_mark", "states.write_checkpoint")),
}
"""The calls that a fault waits for. Half of the fatal faults wait for a mark or a checkpoint, because a batch writes
few of them."""


class RandomScheduler:
    """Decides at random, determined by its generator. It stops injecting faults after some number of them."""

    def __init__(self, rng: random.Random, rules_rng: random.Random, operators_rng: random.Random) -> None:
        self._rng, self._rules_rng, self._operators_rng = rng, rules_rng, operators_rng
        risk = operators_rng.choice((0.0, 0.0, 0.1, 0.4))
        self._operator_probability = {"states.commit done": 2 * risk, None: risk}
        """How likely it is that an operator makes a call at a point, by the point. A lane has pending bars for a short
        time after its commit."""
        self._operated = operators_rng.sample([*chain(*SYMBOLS.values())], operators_rng.randint(1, 3))
        """The symbols that operators work on."""
        self._change_probability = rules_rng.choice((0.0, 0.01, 0.1))
        """How likely it is that the rules change at a point."""
        self._risk = rng.choice((0.2, 0.4, 0.7))
        self._faults_left = rng.randint(0, 9)
        self._kinds: tuple[FaultKind, ...] = rng.choice(
            (ALL_KINDS, ALL_KINDS, ("abandoned",), ("abandoned",), ("partial",))
        )
        self._resume_probability = rng.choice((0.0, 0.03, 0.15))
        """How likely it is that an abandoned invocation continues at a point of another."""
        self._max_instances = rng.randint(1, 4)
        self._max_batch = rng.choice((1, 3, 8))

    def shard(self, waiting: Sequence[tuple[str, int]]) -> tuple[str, int]:
        """See `Scheduler`."""
        return self._rng.choice(waiting)

    def batch_size(self, waiting: int) -> int:
        """See `Scheduler`."""
        return self._rng.randint(1, min(waiting, self._max_batch))

    def instance(self, idle: Sequence[Instance]) -> Instance | None:
        """See `Scheduler`. It starts new instances now and then, so that the copies of others become stale."""
        if idle and (len(idle) >= self._max_instances or self._rng.random() < 0.7):
            return self._rng.choice(idle)
        return None

    def faults(self, records: Sequence[Record]) -> Sequence[Fault]:
        """See `Scheduler`."""
        if self._faults_left == 0 or self._rng.random() > self._risk:
            return ()
        self._faults_left -= 1
        kind = self._rng.choice(self._kinds)
        call = self._rng.choice((TARGETS | CALLS)[kind])
        point = self._rng.randrange(6 + 8 * len(records) if call is None else self._rng.choice((8, 8 * len(records))))
        faults = [Fault(point, kind, call, left_out=self._rng.getrandbits(MESSAGE_BATCH))]
        while faults[-1].kind not in FATAL and self._rng.random() < 0.3:
            point += self._rng.randrange(10)
            faults.append(Fault(point, self._rng.choice(FATAL)))
        return faults

    def sees_rules(self) -> bool:
        """See `Scheduler`."""
        return self._rules_rng.random() < 0.7

    def changes_rules(self, call: str) -> bool:  # noqa: ARG002
        """See `Scheduler`."""
        return self._rules_rng.random() < self._change_probability

    def operates(self, call: str) -> str | None:
        """See `Scheduler`."""
        probability = self._operator_probability
        if self._operators_rng.random() >= probability.get(call, probability[None]):
            return None
        return self._operators_rng.choice(self._operated)

    def resume(self, abandoned: Sequence[Invocation], call: str) -> tuple[Invocation, int | None] | None:  # noqa: ARG002
        """See `Scheduler`."""
        if self._rng.random() >= self._resume_probability:
            return None
        return self._rng.choice(abandoned), self._rng.choice((1, 2, 4, 8, None))


def mapping_of(*, bisect: bool, retries: int, factor: int = 1, max_age_seconds: int = UNLIMITED) -> EventSourceMapping:
    """A mapping like the deployed one, except for these parameters."""
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


SCENARIOS = 100
"""How many different scenarios the seeds share. The effects without a fault are computed once for each."""
CHECKPOINTS = "processor_lambda.checkpoints"
MAX_PUBLICATIONS = "processor_lambda.fold.MAX_PUBLICATIONS"


COSTS = ((1, 4_000), (40, 4_000), (40, 3))
"""What the indicators of a symbol take, and how long a log may become. A unit is one byte. So checkpoints are due after
each minute or after some commits, and some logs are too long."""


def play_seed(seed: int, build: Build = REAL, source_of: MakeSource = EventSource) -> Run:
    """Play the run of a seed."""
    rng = random.Random(seed)
    mapping = mapping_of(
        bisect=rng.random() < 0.5,
        retries=rng.choice((UNLIMITED, UNLIMITED, 0, 1)),
        factor=rng.choice((1, 1, 2)),
        max_age_seconds=rng.choice((UNLIMITED, UNLIMITED, 60)),
    )
    of_states = random.Random(f"states {seed}")
    read_order: list[ItemKind] = [*get_args(ItemKind)]
    of_states.shuffle(read_order)
    versions = (1, 2) if of_states.random() < 0.3 else (2,)
    symbol_bytes, log = of_states.choice(COSTS)
    costs = patch.multiple(CHECKPOINTS, DYNAMODB_WRITE_UNIT_BYTES=1, SYMBOL_BYTES=symbol_bytes, MAX_LOG_ENTRIES=log)
    patience = patch("backfill.lane_refold.PATIENT_ATTEMPTS", 2 * (seed % 2))
    with patch(MAX_PUBLICATIONS, rng.choice((1, 3, 250))), costs, patience:
        return play(
            random_scenario(rng.randrange(SCENARIOS)),
            RandomScheduler(rng, random.Random(f"rules {seed}"), random.Random(f"operators {seed}")),
            mapping,
            build,
            kill_at_end=rng.random() < 0.5,
            read_order=read_order,
            versions=(of_states.choice(versions) for _ in count()),
            row_resolution=rng.choice(("every", "every", "minute")),
            source_of=source_of,
        )
