"""Heartbeats: once a round, in each lane, the producer's clock and up to where the lane is complete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from producer_service.group_state import GroupState
from quotes import Heartbeat, lane_of, partition_key

_STEP = timedelta(milliseconds=1)


class Heartbeats:
    """Makes the rounds of some groups over some lanes. Not thread-safe: the intake's lock is around it.

    Clocks rise from round to round, since a lane takes a heartbeat only if it is later than its last. `complete_to`
    never falls: what was claimed once stays so.
    """

    def __init__(self, states: Sequence[GroupState], lanes: int) -> None:
        lanes_of = [(state, {lane_of(symbol, lanes) for symbol in state.group.symbols}) for state in states]
        # A lane without a symbol claims what all groups can: its state may hold symbols that were polled once.
        self._states = [tuple(state for state, of in lanes_of if lane in of) or tuple(states) for lane in range(lanes)]
        self._keys = [partition_key(lane, lanes) for lane in range(lanes)]
        self._clock: datetime | None = None
        self._claimed: list[datetime | None] = [None] * lanes

    def round(self, now: datetime) -> dict[str, Heartbeat]:
        """A heartbeat for each lane, by its partition key."""
        clock = now if self._clock is None else max(now, self._clock + _STEP)
        self._clock = clock
        for lane, states in enumerate(self._states):
            claims = (self._claimed[lane], complete_to(states, clock))
            self._claimed[lane] = max((claim for claim in claims if claim is not None), default=None)
        return {
            key: Heartbeat(lane=key, clock=clock, complete_to=claimed)
            for key, claimed in zip(self._keys, self._claimed, strict=True)
        }


def complete_to(states: Sequence[GroupState], clock: datetime) -> datetime | None:
    """Up to where some groups together are complete: the least that one of them claims, None if one claims nothing.

    A group whose source has ended holds no other back; once all have, the furthest of them speaks.
    """
    running = [state.claim(clock) for state in states if not state.progress.ended]
    if running:
        return None if None in running else min(claim for claim in running if claim is not None)
    ended = (state.progress.complete_to for state in states)
    return max((claim for claim in ended if claim is not None), default=None)
