"""Computes the bars of a symbol from its quotes, with the processor's own fold. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

import indicators
from indicators import Indicators
from lane_state import Bar, LaneState, Position
from processor_lambda.alerts import Rules
from processor_lambda.fold import FORGET_AFTER, Fold, PositionedLine
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
) -> list[Bar]:
    """The bars that a symbol would have if each quote had arrived once and in order. All are closed by `end`.

    `quotes` are in order, with declared splits among them. From the state `before` them, the first bar gets the volume,
    the price and the previous close. `warm` are the indicators after the last bar before them. No alert is raised.
    """
    first = next((quote.line.event_time for quote in quotes if isinstance(quote.line, Quote)), end)
    known = {
        name: replace(state, bar=None)
        for name, state in before.symbols.items()
        if first - state.event_time <= FORGET_AFTER  # otherwise the processor had forgotten the symbol by then
    }
    closing = Heartbeat(lane=_LANE, clock=end, complete_to=end)
    lines = [_positioned(quote) for quote in quotes] + [PositionedLine(_POSITION, b"", closing)]
    fold = Fold(Rules(()), keep_lines=keep_lines)
    packed = dict.fromkeys(known, indicators.pack(warm))
    return _folded(fold, LaneState(symbols=known, splits=before.splits, indicators=packed), lines, {symbol: warm})[1]


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
