"""Computes the bars of a symbol from its quotes, with the processor's own fold. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

import indicators
from bars.keys import start_of
from indicators import Indicators
from lane_state import Bar, LaneState, Position
from processor_lambda.alerts import Rules
from processor_lambda.fold import FORGET_AFTER, Fold, PositionedLine
from processor_lambda.rows import Row
from processor_lambda.symbol_state import unpacked
from quotes import GoodLine, Heartbeat, Quote

_LANE = "lane-00-of-01"
_POSITION = Position(0, 0)
"""The fold needs a position, but the result does not depend on it."""


def state_after(earlier: Sequence[GoodLine]) -> LaneState:
    """The state after the last quotes before a day. Declared splits may be among them."""
    return _folded(Fold(Rules(())), LaneState(), [_positioned(quote) for quote in earlier], {})[0]


def compute_bars(
    symbol: str,
    quotes: Sequence[GoodLine],
    end: datetime,
    *,
    before: LaneState,
    warm: Indicators,
    keep_lines: bool,
    others: Sequence[Row] = (),
) -> list[Bar]:
    """The bars that a symbol would have if each quote had arrived once and in order. All are closed by `end`.

    `quotes` are in order, with declared splits among them. From the state `before` them, the first bar gets the volume,
    the price and the previous close. `warm` are the indicators after the last bar before them. No alert is raised.
    `others` are the stored bars of minutes without quotes, in order. The indicators of later bars count them.
    """
    first = next((quote.line.event_time for quote in quotes if isinstance(quote.line, Quote)), end)
    known = {
        name: replace(state, bar=None)
        for name, state in before.symbols.items()
        if first - state.event_time <= FORGET_AFTER  # otherwise the processor had forgotten the symbol by then
    }
    packed = dict.fromkeys(known, indicators.pack(warm))
    state = LaneState(symbols=known, splits=before.splits, indicators=packed)
    fold, rest, bars = Fold(Rules(()), keep_lines=keep_lines), list(quotes), list[Bar]()
    for other in (*others, None):
        until = end if other is None else start_of(str(other["key"]))
        count = bisect_left(rest, until, key=_time_of)
        closing = Heartbeat(lane=_LANE, clock=until, complete_to=until)
        lines = [*map(_positioned, rest[:count]), PositionedLine(_POSITION, b"", closing)]
        state, closed = _folded(fold, state, lines, {symbol: warm})
        rest = rest[count:]
        bars += closed
        if other is not None:
            warm = _advanced(warm, other)
            packed = {name: indicators.pack(_advanced(unpacked(own), other)) for name, own in state.indicators.items()}
            state = replace(state, indicators=packed)
    return bars


def _time_of(good: GoodLine) -> datetime:
    line = good.line
    return line.clock if isinstance(line, Heartbeat) else line.event_time


def _advanced(before: Indicators, row: Row) -> Indicators:
    volume = row.get("volume")
    return before.advanced(start_of(str(row["key"])), float(row["close"]), None if volume is None else int(volume))


def _folded(
    fold: Fold, state: LaneState, lines: Sequence[PositionedLine], warm: Mapping[str, Indicators]
) -> tuple[LaneState, list[Bar]]:
    """The state and the closed bars after all of the lines. The fold may take only some of them at a time."""
    bars: list[Bar] = []
    while lines:
        folded = fold(state, lines, _POSITION, warm)
        state = folded.state
        bars += [publication.bar for publication in state.pending if publication.bar is not None]
        lines = lines[folded.count :]
    return state, bars


def _positioned(quote: GoodLine) -> PositionedLine:
    return PositionedLine(_POSITION, quote.content, quote.line)
