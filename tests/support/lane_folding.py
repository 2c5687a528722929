"""Folds lines into the state of one lane, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from msgspec.structs import replace

from indicators import Indicators
from lane_state import WHOLE, Alert, Bar, LaneState, Position
from processor_lambda.alerts import PriceMove, Rule, Rules
from processor_lambda.fold import Fold, PositionedLine
from quotes import Heartbeat, Line, encode_line
from tests.fakes.pipeline import make_heartbeats, make_quote

MOVE = PriceMove(percent=5, cooldown_minutes=0)
DAY = 86_400
"""A day in seconds."""


class Outcome(NamedTuple):
    """Everything that was published, in order, and the last state."""

    bars: list[Bar]
    alerts: list[Alert]
    state: LaneState


def positioned(lines: Iterable[Line], sequence: int = 0) -> list[PositionedLine]:
    """Number the lines of one record."""
    return [
        PositionedLine(Position(sequence, number), encode_line(line)[:-1], line) for number, line in enumerate(lines, 1)
    ]


def fold_batches(
    *batches: Sequence[Line], rules: Sequence[Rule] = (MOVE,), warm: Mapping[str, Indicators] = MappingProxyType({})
) -> Outcome:
    """Fold batches of one record each into an empty state, in as many commits as they need."""
    fold = Fold(Rules(replace(rule, name=rule.id) for rule in rules))
    state = LaneState()
    bars: list[Bar] = []
    alerts: list[Alert] = []
    for sequence, lines in enumerate(batches):
        remaining = positioned(lines, sequence)
        while remaining or state.position < Position(sequence, WHOLE):
            folded = fold(state, remaining, Position(sequence, WHOLE), warm)
            state, remaining = folded.state, remaining[folded.count :]
            bars += [item.bar for item in state.pending if item.bar]
            alerts += [item.alert for item in state.pending if item.alert]
    return Outcome(bars, alerts, state)


def heartbeat(second: float) -> Line:
    """A heartbeat of the first lane, which is complete up to this second."""
    return make_heartbeats(second)[0]


def regular_quote(symbol: str, second: float, **changes: object) -> Line:
    """A quote of an open market."""
    return replace(make_quote(symbol, second), **{"market_state": "REGULAR"} | changes)


def in_order(lines: Iterable[Line]) -> list[Line]:
    """The lines in the order of their times."""
    return sorted(lines, key=_time_of)


def _time_of(line: Line) -> datetime:
    return line.clock if isinstance(line, Heartbeat) else line.event_time
