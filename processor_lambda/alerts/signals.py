"""When a signal becomes an alert: bands, hysteresis and cooldown. Pure.

A rule turns a quote, a closed bar or a silence into one number, its signal, and has a band for it. The signal is on
above or below the band, and goes off when it is back inside the inner edge (hysteresis). An alert is raised when a
signal goes on, but never within the rule's cooldown after the last alert. If the signal is still on when the cooldown
ends, and its side was not announced, the alert is raised then.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

from lane_state import AlertState


class Band(NamedTuple):
    """A signal is on above `upper` and below `lower`. It goes off between `lower_end` and `upper_end`."""

    upper: float
    upper_end: float
    lower: float
    lower_end: float
    is_crossing: bool = False
    """The signal only changes sides and never goes off. The first side that is known raises no alert."""


class Signal(NamedTuple):
    """What a rule computed from an event."""

    value: float
    band: Band


def evaluate(
    before: AlertState | None, signal: Signal, now: datetime, cooldown: timedelta
) -> tuple[AlertState | None, bool]:
    """The state of a rule after a signal, and whether to raise an alert. None is a rule at rest."""
    value, band = signal
    side = _side(0 if before is None else before.side, value, band)
    announced = 0 if before is None or not side else before.announced
    raised_at = before.raised_at if before is not None and is_cooling(before, now, cooldown) else None
    if side == announced:
        return _state(before, side, announced, raised_at), False
    if band.is_crossing and before is None:
        return AlertState(side, side, None), False
    if raised_at is not None:
        return _state(before, side, announced, raised_at), False
    return AlertState(side, side, now), True


def is_cooling(state: AlertState | None, now: datetime, cooldown: timedelta) -> bool:
    """Whether the last alert is so recent that no other may be raised yet."""
    return state is not None and state.raised_at is not None and now - state.raised_at < cooldown


@cache
def symmetric(threshold: float, rearm: float) -> Band:
    """A band from `-threshold` to `threshold`, re-armed at `rearm` times the threshold."""
    return Band(threshold, threshold * rearm, -threshold, -threshold * rearm)


@cache
def one_sided(threshold: float, rearm: float) -> Band:
    """A band with an upper threshold only."""
    return Band(threshold, threshold * rearm, -math.inf, -math.inf)


@cache
def crossing(margin: float) -> Band:
    """A band for two lines that cross: the side changes once the difference is beyond the margin."""
    return Band(margin, margin, -margin, -margin, is_crossing=True)


def _side(before: int, value: float, band: Band) -> int:
    if value > band.upper:
        return 1
    if value < band.lower:
        return -1
    if band.is_crossing:
        return before
    if before > 0:
        return 1 if value > band.upper_end else 0
    return -1 if before < 0 and value < band.lower_end else 0


def _state(before: AlertState | None, side: int, announced: int, raised_at: datetime | None) -> AlertState | None:
    if not side and raised_at is None:
        return None
    after = AlertState(side, announced, raised_at)
    return before if before == after else after
