"""Heartbeats: once a round, in each lane, the producer's clock and up to where the lane is complete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from producer_service.group_state import Watch
from quotes import Heartbeat, lane_of, partition_key

_STEP = timedelta(milliseconds=1)


class Heartbeats:
    """Makes the rounds of some groups over some lanes. Not thread-safe: the intake's lock is around it.

    Clocks rise from round to round, since a lane takes a heartbeat only if it is later than its last. `complete_to`
    never falls: what was claimed once stays so.
    """

    def __init__(self, watches: Sequence[Watch], lanes: int) -> None:
        lanes_of = [(watch, {lane_of(symbol, lanes) for symbol in watch.group.symbols}) for watch in watches]
        # A lane without a symbol claims what all groups can: its state may hold symbols that were polled once.
        self._watches = [
            tuple(watch for watch, of in lanes_of if lane in of) or tuple(watches) for lane in range(lanes)
        ]
        self._keys = [partition_key(lane, lanes) for lane in range(lanes)]
        self._clock: datetime | None = None
        self._claimed: list[datetime | None] = [None] * lanes

    def round(self, now: datetime) -> dict[str, Heartbeat]:
        """A heartbeat for each lane, by its partition key."""
        clock = now if self._clock is None else max(now, self._clock + _STEP)
        self._clock = clock
        for lane, watches in enumerate(self._watches):
            claims = (self._claimed[lane], complete_to(watches, clock))
            self._claimed[lane] = max((claim for claim in claims if claim is not None), default=None)
        return {
            key: Heartbeat(lane=key, clock=clock, complete_to=claimed)
            for key, claimed in zip(self._keys, self._claimed, strict=True)
        }


def complete_to(watches: Sequence[Watch], clock: datetime) -> datetime | None:
    """Up to where some groups together are complete: the least that one of them claims, None if one claims nothing.

    A group whose source has ended holds no other back; once all have, the furthest of them speaks.
    """
    running = [watch.claim(clock) for watch in watches if not watch.progress.ended]
    if running:
        return None if None in running else min(claim for claim in running if claim is not None)
    ended = (watch.progress.complete_to for watch in watches)
    return max((claim for claim in ended if claim is not None), default=None)
