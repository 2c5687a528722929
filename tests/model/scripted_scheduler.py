"""A short scenario, and a scheduler that follows a script: one batch has a fault, and everything else is fixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from unittest.mock import patch

from processor_lambda.records import Record
from replica.event_source.mapping import EventSourceMapping
from tests.fakes.pipeline import make_quote
from tests.model.lambda_function import Fault, Instance, Invocation
from tests.model.runs import END_SECONDS, REAL, Run, play
from tests.model.scenarios import Scenario, heartbeat, packet
from tests.model.streams import KEYS, SYMBOLS

ONE, OTHER = KEYS
SYMBOL, OTHER_SYMBOL = SYMBOLS[ONE][1], SYMBOLS[OTHER][1]
ROLES = ("warm", "stale", "cold")
"""What an instance remembers of the lane: its last state, an older state, or nothing."""
FAULTY = 2
"""The number of the invocation with the fault. The two before it make one instance stale and another one warm."""
SHORT_SCENARIO = Scenario(
    [
        packet(ONE, make_quote(SYMBOL, 1, volume=1)),
        packet(ONE, make_quote(SYMBOL, 2, volume=3)),
        packet(ONE, make_quote(SYMBOL, 61, "110", previous_close="100", volume=6), bad_lines=b"rubbish\n"),
        packet(ONE, make_quote(SYMBOL, 125, "90", previous_close="100", volume=10)),
        packet(OTHER, make_quote(OTHER_SYMBOL, 125, "90", previous_close="100", volume=10)),
        packet(ONE, heartbeat(ONE, 190)),
    ]
)
"""A record for each of the instances, a batch of three records that has every effect, and a record after it."""


READING, COMMITTING = 4, 1
"""The calls of an operator: it reads three items and the bars, and commits."""


class Operated(NamedTuple):
    """When an operator edits the lane of `SYMBOL`, by the number of points that there were before."""

    reads_at: int
    commits_at: int


class ScriptedScheduler:
    """The scheduler of the short scenario.

    The batch of three goes to an instance of the role `first`, where it has the fault. Later batches go to an instance
    of the role `then`.
    """

    def __init__(
        self,
        first: str,
        then: str,
        fault: Fault | None = None,
        resume_at: int | None = None,
        operated: Operated | None = None,
    ) -> None:
        self._sizes = iter((1, 1, 3))
        self._roles = iter(("cold", "cold", first))
        self._then = then
        self._faults = iter(((), (), () if fault is None else (fault,)))
        self._resume_at = resume_at
        """The call of other invocations at which the abandoned one continues to its end. None: after all of them."""
        self.calls_of_others = 0
        """How many calls others have made since the invocation was abandoned."""
        self._operated = operated
        self._steps = 0
        self.points = 0
        """How many points there have been, in all invocations."""

    def shard(self, waiting: Sequence[tuple[str, int]]) -> tuple[str, int]:
        """See `Scheduler`."""
        return waiting[0]

    def batch_size(self, waiting: int) -> int:
        """See `Scheduler`."""
        return min(next(self._sizes, waiting), waiting)

    def instance(self, idle: Sequence[Instance]) -> Instance | None:
        """See `Scheduler`."""
        number = {"stale": 0, "warm": 1, "cold": None}[next(self._roles, self._then)]
        return next((instance for instance in idle if instance.number == number), None)

    def faults(self, records: Sequence[Record]) -> Sequence[Fault]:  # noqa: ARG002  (the script says it)
        """See `Scheduler`."""
        return next(self._faults, ())

    def sees_rules(self) -> bool:
        """See `Scheduler`."""
        return True

    def changes_rules(self, call: str) -> bool:
        """See `Scheduler`. Every invocation has other rules than the one before it."""
        return not call

    def operates(self, call: str) -> str | None:
        """See `Scheduler`."""
        if self._operated is not None:
            until = READING if self.points >= self._operated.reads_at else 0
            if self.points >= self._operated.commits_at:
                until = READING + COMMITTING
            if self._steps < until:
                self._steps += 1
                return SYMBOL
        self.points += call != ""
        return None

    def resume(self, abandoned: Sequence[Invocation], call: str) -> tuple[Invocation, int | None] | None:
        """See `Scheduler`. The point after a call is not used, because the point before the next is the same moment."""
        if call.endswith(" done"):
            return None
        self.calls_of_others += 1
        return (abandoned[0], None) if self.calls_of_others - 1 == self._resume_at else None


def play_script(scheduler: ScriptedScheduler, mapping: EventSourceMapping) -> Run:
    """Play the short scenario. It ends with one heartbeat for each lane. A checkpoint is written after each minute.

    Operators do not wait until the bars of a commit are stored.
    """
    eager = patch.multiple("processor_lambda.checkpoints", DYNAMODB_WRITE_UNIT_BYTES=1, SYMBOL_BYTES=1)
    with eager, patch("backfill.lane_refold.PATIENT_ATTEMPTS", 0):
        return play(SHORT_SCENARIO, scheduler, mapping, REAL, end_seconds=END_SECONDS[:1])
