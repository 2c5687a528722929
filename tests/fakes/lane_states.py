"""The table of the lanes' states in memory, as an operator's command uses it."""

from __future__ import annotations

from lane_state import LaneState, pack
from processor_lambda.errors import CommitConflict
from processor_lambda.ports import Stored
from tests.fakes.processor_ports import World


class MemoryLaneStates:
    """See `lane_refold.LaneStates`. It is the table of a world, in which a function works too."""

    def __init__(self, world: World) -> None:
        self._world = world

    def read(self, lane: str) -> Stored:
        """See `lane_refold.LaneStates`."""
        return self._world.state_table.stored(lane)

    def commit(self, lane: str, state: LaneState, read: LaneState) -> None:
        """See `lane_refold.LaneStates`."""
        stored = self._world.state_table.stored(lane).state
        if lane not in self._world.states or (stored.position, stored.edits) != (read.position, read.edits):
            raise CommitConflict(lane)
        self._world.states[lane] = pack(state)
