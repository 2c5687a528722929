"""Whether the symbols fit into the lanes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from quotes import MAX_LANES, MAX_SYMBOLS_PER_LANE, lane_of

DEFAULT_LANES = 4
"""The number of lanes, if nobody names another."""


def lane_problems(symbols: Sequence[str], lanes: int) -> list[str]:
    """What is wrong with a number of lanes for some symbols: nothing, or one mistake that says how many it takes."""
    fullest = _fullest_lane(symbols, lanes)
    if fullest <= MAX_SYMBOLS_PER_LANE:
        return []
    enough = next(
        (more for more in range(lanes, MAX_LANES + 1) if _fullest_lane(symbols, more) <= MAX_SYMBOLS_PER_LANE), None
    )
    advice = f"{enough} lanes are enough" if enough else "they are too many for one stream"
    return [f"PRODUCER_LANES: a lane of {lanes} would hold {fullest} of the {len(symbols)} symbols; {advice}"]


def _fullest_lane(symbols: Sequence[str], lanes: int) -> int:
    counts = [0] * lanes
    for symbol in symbols:
        counts[lane_of(symbol, lanes)] += 1
    return max(counts)
