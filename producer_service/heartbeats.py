"""Heartbeats: each round states the producer's clock, and for each lane up to which time it is complete. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from producer_service.exchanges import Trading
from producer_service.group_state import GroupState
from quotes import MAX_CLOCK_SKEW, Heartbeat, lane_of, partition_key

_STEP = timedelta(milliseconds=1)
_ON_THE_WAY = timedelta(seconds=1)
"""An allowance for the time until a heartbeat arrives, which is what the processor compares its clock with."""


class Heartbeats:
    """Makes the rounds of heartbeats for some groups over some lanes. Not thread-safe: the intake's lock guards it.

    The clock rises from round to round, because a lane ignores a heartbeat that is not later than its last one.
    `complete_to` never falls. Times of earlier rounds that are more than `MAX_CLOCK_SKEW` ahead came from a clock that
    was wrong. The processor has refused them, so they are forgotten.
    """

    def __init__(self, states: Sequence[GroupState], lanes: int) -> None:
        self._keys = [partition_key(lane, lanes) for lane in range(lanes)]
        self._clock: datetime | None = None
        self._complete_to: list[datetime | None] = [None] * lanes
        self.watch(states)

    def watch(self, states: Sequence[GroupState]) -> None:
        """Follow these groups from now on. A lane waits for the first poll of its new symbols, and for no old ones."""
        lanes = len(self._keys)
        of_lanes: list[dict[GroupState, set[Trading]]] = [{} for _ in range(lanes)]
        for state in states:
            for symbol, trading in state.trading.items():
                of_lanes[lane_of(symbol, lanes)].setdefault(state, set()).add(trading)
        # A lane without symbols follows all groups, since its state may hold symbols that were polled in the past.
        everything = {state: {*state.trading.values()} for state in states}
        self._of_lanes = [of_lane or everything for of_lane in of_lanes]

    def round(self, now: datetime) -> dict[str, Heartbeat]:
        """A heartbeat for each lane, by its partition key."""
        if self._clock is None or self._clock > now + MAX_CLOCK_SKEW + _ON_THE_WAY:
            clock = now
        else:
            clock = max(now, self._clock + _STEP)
        self._clock = clock
        latest = clock + MAX_CLOCK_SKEW
        for lane, tradings in enumerate(self._of_lanes):
            times = (self._complete_to[lane], complete_to(tradings, clock))
            self._complete_to[lane] = max((time for time in times if time is not None and time <= latest), default=None)
        return {
            key: Heartbeat(lane=key, clock=clock, complete_to=time)
            for key, time in zip(self._keys, self._complete_to, strict=True)
        }


def complete_to(tradings: Mapping[GroupState, Iterable[Trading]], clock: datetime) -> datetime | None:
    """Up to which time some groups together are complete: the earliest of theirs, or None if one has none yet.

    Of each group, only the symbols with the given tradings count. A group whose source has ended does not hold the
    others back. Once all have ended, the latest time counts.
    """
    running = [state.complete_to(clock, own) for state, own in tradings.items() if not state.progress.ended]
    if running:
        return None if None in running else min(time for time in running if time is not None)
    ended = (state.progress.complete_to for state in tradings)
    return max((time for time in ended if time is not None), default=None)
