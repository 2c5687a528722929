"""Whether the price of a symbol is fresh, by what its lane remembers. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from lane_state import LaneState, SymbolState

Freshness = Literal["fresh", "stale", "closed"]

LEAST_SILENCE = timedelta(seconds=60)
"""A shorter silence is never stale."""
INTERVALS = 4
"""A symbol is stale if it is silent for more than this many of its longest usual pauses."""
OLDEST_CLOCK = timedelta(minutes=3)
"""A lane's heartbeat comes once a minute. If the last one is older than this, nothing of the lane is fresh."""


def freshness_of(symbol: SymbolState, lane: LaneState, now: datetime) -> Freshness:
    """`closed` outside of the regular session, `stale` if quotes are missing, and `fresh` otherwise.

    The silence is measured by the lane's clock, less the delay that the source declares.
    """
    if not symbol.is_open:
        return "closed"
    clock = _clock_of(lane)
    if is_behind(lane, now) or clock is None:
        return "stale"
    silence = clock - symbol.silent_since - timedelta(minutes=symbol.delay_minutes)
    usual = timedelta(milliseconds=INTERVALS * symbol.interval_ms)
    return "stale" if silence > max(usual, LEAST_SILENCE) else "fresh"


def is_behind(lane: LaneState, now: datetime) -> bool:
    """Whether no heartbeat of a lane has been stored for minutes."""
    clock = _clock_of(lane)
    return clock is None or now - clock > OLDEST_CLOCK


def _clock_of(lane: LaneState) -> datetime | None:
    """The lane's clock. A new lane has none for a minute, and then the arrival of its last record counts."""
    return lane.clock or lane.arrival
