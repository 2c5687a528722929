"""What it takes to write the states of a lane, by the rule for checkpoints that the function itself follows. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple

from msgspec.structs import replace

from aws_limits import DYNAMODB_WRITE_UNIT_BYTES
from costs.sizes import Sizes, symbol_name
from lane_state import LaneState, LogEntry
from lane_state.codec import WRITES
from processor_lambda.checkpoints import Carried, after_checkpoint, after_commit, checkpointed, committable, is_due

_MINUTES = 60
"""How many minutes are counted. The time from one checkpoint to the next is a few of them."""
_START = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


class StateWrites(NamedTuple):
    """Average write units."""

    plain: float
    """Of a commit that closes no minute."""
    closing: float
    """Of a commit that closes a minute. It also has the bars that it publishes."""
    checkpoints: float
    """Of the checkpoints of a minute together."""


@cache
def state_writes(sizes: Sizes, symbols: int, commits: int, closing: int) -> StateWrites:
    """The writes of a lane with `symbols` symbols, of which each has a new bar every minute.

    A minute has `commits` commits. The first `closing` of them close the last minute, each a part of its bars.
    """
    names = [symbol_name(number) for number in range(symbols)]
    state, carried = LaneState(indicators=dict.fromkeys(names, b""), log=()), Carried()
    of_plain: list[int] = []
    of_closing: list[int] = []
    of_checkpoints = 0
    for minute in range(_MINUTES):
        time = _START + timedelta(minutes=minute)
        for commit in range(max(commits, closing)):
            closed = names[commit::closing] if commit < closing else []
            entries = tuple(LogEntry(name, time, 0.0, None) for name in closed)
            read, log = state, None if state.log is None else state.log + entries
            state = committable(replace(read, log=log), WRITES)
            size = _item_bytes(sizes, state) + len(closed) * sizes.pending_bar
            (of_closing if closed else of_plain).append(_units(size))
            carried = after_commit(carried, read, state, int(size))
            if is_due(carried, state, WRITES):
                of_checkpoints += _units(sizes.checkpoint * symbols)
                state, carried = checkpointed(state), after_checkpoint(carried)
    return StateWrites(_mean(of_plain or of_closing), _mean(of_closing), of_checkpoints / _MINUTES)


def _item_bytes(sizes: Sizes, state: LaneState) -> float:
    symbols = len(state.indicators)
    of_indicators = sizes.checkpoint * symbols if state.log is None else len(state.log) * sizes.log_entry
    return sizes.state * symbols + of_indicators


def _units(size: float) -> int:
    return math.ceil(size / DYNAMODB_WRITE_UNIT_BYTES)


def _mean(values: list[int]) -> float:
    return sum(values) / len(values)
