"""Tables of states that break one rule of an operator's commit each. Mutants are made of them."""

from __future__ import annotations

from msgspec.structs import replace

from lane_state import LaneState
from processor_lambda.ports import Stored
from tests.model.cloud import TornStateTable
from tests.model.operators import OperatorStates
from tests.model.streams import GAP


class CommitsByPosition(TornStateTable):
    """The function commits whatever an operator has committed at the same position."""

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        return super().commit(lane, state, replace(read, edits=self.stored(lane).state.edits))


class EditsAnyPosition(OperatorStates):
    """An operator replaces whatever state is stored."""

    def commit(self, lane: str, state: LaneState, read: LaneState) -> None:
        stored = self._cloud.state_table.stored(lane).state
        super().commit(lane, state, replace(read, position=stored.position, edits=stored.edits))


class EditsAnyEdit(OperatorStates):
    """An operator replaces what another one has committed at the same position."""

    def commit(self, lane: str, state: LaneState, read: LaneState) -> None:
        stored = self._cloud.state_table.stored(lane).state
        super().commit(lane, state, replace(read, edits=stored.edits))


class CountsNoEdit(OperatorStates):
    """An operator's commit counts as none."""

    def commit(self, lane: str, state: LaneState, read: LaneState) -> None:
        super().commit(lane, replace(state, edits=read.edits), read)


class MovesPosition(OperatorStates):
    """An operator's commit moves the lane one record on."""

    def commit(self, lane: str, state: LaneState, read: LaneState) -> None:
        after = state.position._replace(sequence=state.position.sequence + GAP)
        super().commit(lane, replace(state, position=after), read)


class DropsPending(OperatorStates):
    """An operator's commit drops what is still to be published."""

    def commit(self, lane: str, state: LaneState, read: LaneState) -> None:
        super().commit(lane, replace(state, published=state.last_number, pending=()), read)


class KeepsLog(OperatorStates):
    """An operator's commit keeps the log, which leads to the earlier indicators."""

    def commit(self, lane: str, state: LaneState, read: LaneState) -> None:
        super().commit(lane, replace(state, log=read.log), read)


class IgnoresPending(OperatorStates):
    """An operator reads a lane as if all of its bars were stored."""

    def read(self, lane: str) -> Stored:
        stored = super().read(lane)
        return replace(stored, published=stored.state.last_number)
