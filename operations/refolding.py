"""Folds a symbol's quotes anew, through the processor's own fold. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from lane_state import Bar, LaneState, Position
from processor_lambda import indicators
from processor_lambda.alerts import Rules
from processor_lambda.fold import FORGET_AFTER, Fold, PositionedLine
from processor_lambda.indicators import Indicators
from quotes import GoodLine, Heartbeat, Quote

_LANE = "lane-00-of-01"
_END = Position(0, 0)


def refold(
    symbol: str,
    quotes: Sequence[GoodLine],
    end: datetime,
    *,
    earlier: Sequence[GoodLine],
    warm: Indicators,
    keep_lines: bool,
) -> list[Bar]:
    """The bars that an undisturbed pass over a symbol's quotes makes, all of them closed by `end`, and no alerts.

    `quotes` are in their order. `earlier` are the symbol's last quotes before them, which know the volume, the price
    and the previous close that the first bar starts from; `warm` are the indicators after the last bar before them.
    """
    fold = Fold(Rules(()), keep_lines=keep_lines)
    before, _ = _folded(fold, LaneState(), [_arrived(quote) for quote in earlier], {})
    first = next((quote.line.event_time for quote in quotes if isinstance(quote.line, Quote)), end)
    known = {
        name: replace(state, bar=None, indicators=indicators.pack(warm))
        for name, state in before.symbols.items()
        if first - state.event_time <= FORGET_AFTER  # else the lane had forgotten it by then
    }
    closing = Heartbeat(lane=_LANE, clock=end, complete_to=end)
    lines = [_arrived(quote) for quote in quotes] + [PositionedLine(_END, b"", closing)]
    return _folded(fold, LaneState(symbols=known), lines, {symbol: warm})[1]


def _folded(
    fold: Fold, state: LaneState, lines: Sequence[PositionedLine], warm: Mapping[str, Indicators]
) -> tuple[LaneState, list[Bar]]:
    bars: list[Bar] = []
    while lines:
        folded = fold(state, lines, _END, warm)
        state = folded.state
        bars += [shown.bar for shown in state.pending if shown.bar is not None]
        lines = lines[folded.count :]
    return state, bars


def _arrived(quote: GoodLine) -> PositionedLine:
    return PositionedLine(_END, quote.content, quote.line)
