"""Warm-up: computes the indicators of a symbol that the state does not know from its stored bars. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from bars.keys import start_of
from indicators import MAX_DIVISOR, Indicators
from lane_state import LaneState, Split
from processor_lambda.fold import MAX_SYMBOLS, PositionedLine
from processor_lambda.rows import Row
from processor_lambda.symbol_state import MINUTE
from quotes import Heartbeat, Quote

BARS_NEEDED = 250
"""How many stored bars are read. The weight of the oldest is below 1e-8 in averages of prices, and below 2e-4 in those
of returns. One page of a query holds them all."""


def first_minutes(state: LaneState, lines: Iterable[PositionedLine]) -> dict[str, datetime]:
    """The minute of the first quote of each symbol that the fold will add, however the lines are cut into commits."""
    minutes: dict[str, datetime] = {}
    clock, complete_to, room = state.clock, state.complete_to, MAX_SYMBOLS - len(state.symbols)
    for _, _, line in lines:
        if isinstance(line, Heartbeat):
            if clock is None or line.clock > clock:
                clock, complete_to = line.clock, max(filter(None, (complete_to, line.complete_to)), default=None)
        elif not isinstance(line, Quote):
            continue
        elif line.symbol not in state.symbols and line.symbol not in minutes and len(minutes) < room:
            minute = line.event_time.replace(second=0, microsecond=0)
            if complete_to is None or minute + MINUTE > complete_to:  # otherwise the quote changes nothing
                minutes[line.symbol] = minute
    return minutes


def warmed_up(rows: Sequence[Row], splits: Sequence[Split] = ()) -> Indicators:
    """The indicators after some rows of the bars table, oldest first, in the shares after the `splits`.

    Rows before the minute of a split are in old shares. Any other split between the rows counts as a price move.
    """
    indicators = Indicators()
    due = sorted(splits, key=lambda split: split.time)
    for row in rows:
        minute, volume = start_of(str(row["key"])), row.get("volume")
        while due and due[0].time < minute + MINUTE:
            indicators = _in_new_shares(indicators, due.pop(0))
        indicators = indicators.advanced(minute, float(row["close"]), None if volume is None else int(volume))
    for split in due:
        indicators = _in_new_shares(indicators, split)
    return indicators


def _in_new_shares(indicators: Indicators, split: Split) -> Indicators:
    ratio = split.new / split.old
    return indicators.rescaled(ratio) if 1 / MAX_DIVISOR <= ratio <= MAX_DIVISOR else Indicators()
