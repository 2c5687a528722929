"""Checkpoints of a lane's indicators: how to read one with the log, and when to write the next. Pure.

A commit writes the lane's item, which has the log of the minutes that closed since the last checkpoint. Now and then,
the checkpoint is written after a commit, with the indicators as they were committed. It replaces the checkpoint that
this instance knows and no other. Then the next commit drops the entries that it covers.
"""

from __future__ import annotations

import math
from datetime import datetime

import msgspec
from msgspec.structs import replace

import indicators
from aws_limits import DYNAMODB_WRITE_UNIT_BYTES
from lane_state import Checkpoint, LaneState, version_of
from processor_lambda.symbol_state import MINUTE, unpacked

MAX_LOG_ENTRIES = 4_000
"""A longer log is not committed. The item then holds the indicators, which take less in the largest lane."""
ENTRY_BYTES = 16
"""What an entry of the log adds to the lane's item. It is 12 to 20, by the digits of price and volume."""
SYMBOL_BYTES = 300
"""What the indicators of a symbol take in a checkpoint, with prices of two to four decimal places."""


class Carried(msgspec.Struct, frozen=True):
    """What an instance knows of a lane's commits: how many a minute has, and what the log has cost in them."""

    minute: datetime | None = None
    """The newest minute that has closed."""
    commits: int = 0
    """How many commits there were since it closed."""
    rate: int = 1
    """How many commits there were in the minute before."""
    units: int = 0
    """The write units that the log took in the commits since the checkpoint."""
    expected: int = 0
    """The write units that the log will take until the next minute closes."""


def restored(state: LaneState, checkpoint: Checkpoint | None) -> LaneState | None:
    """The whole state of a lane, from its item and its checkpoint. None if one was written after the other was read.

    DynamoDB reads two items at two times. The checkpoint may be newer than the one that the item's log starts from,
    but neither older nor newer than the item itself.
    """
    number, packed = (0, {}) if checkpoint is None else (checkpoint.number, checkpoint.indicators)
    if state.log is None:
        return replace(state, checkpoint=number)  # the numbers go on, whatever the checkpoint holds
    if not state.checkpoint <= number <= state.last_entry:
        return None
    log = state.log[number - state.checkpoint :]
    current = dict(packed)
    for entry in log:
        before = unpacked(current.get(entry.symbol, b""))
        current[entry.symbol] = indicators.pack(before.advanced(entry.minute, entry.close, entry.volume))
    return replace(state, checkpoint=number, log=log, indicators=current)


def committable(state: LaneState, version: int) -> LaneState:
    """The state in the form in which to commit it: without its log if the log is too long or of a later version."""
    if state.log is not None and (version < version_of(state) or len(state.log) > MAX_LOG_ENTRIES):
        return replace(state, log=None)
    return state


def checkpoint_of(state: LaneState) -> Checkpoint:
    """The checkpoint to write after a state is committed."""
    return Checkpoint(state.last_entry, state.indicators)


def checkpointed(state: LaneState) -> LaneState:
    """The state once its checkpoint is stored."""
    return replace(state, checkpoint=state.last_entry, log=())


def after_commit(carried: Carried, read: LaneState, state: LaneState, item_bytes: int) -> Carried:
    """What is known after another commit. It replaced the state `read`, and its item has `item_bytes`."""
    commits, rate, minute, units = carried.commits + 1, carried.rate, carried.minute, _units_of_log(state, item_bytes)
    if not state.log or state.last_entry == read.last_entry:
        expected = max(0, carried.expected - units)
    else:
        newest = state.log[-1].minute
        if minute is None or newest > minute:
            minutes = 1 if minute is None else (newest - minute) // MINUTE
            minute, commits, rate = newest, 0, max(1, commits // max(1, minutes))
        expected = units * rate
    return Carried(minute, commits, rate, carried.units + units, expected)


def after_checkpoint(carried: Carried) -> Carried:
    """What is known after the checkpoint was written."""
    return replace(carried, units=0, expected=0)


def is_due(carried: Carried, state: LaneState, version: int) -> bool:
    """Whether to write the checkpoint of a committed state. `carried` includes its commit. Version 1 has none.

    DynamoDB bills write units of 1 KiB. A checkpoint costs C units, and the log makes each commit cost more. With n
    commits and l units of new entries a minute, a checkpoint every k minutes costs

        C / k + n * l * (1 + 2 + ... + (k - 1)) / k

    units a minute, if it is written as soon as a minute has closed. The least is at the smallest k for which
    n * l * (1 + 2 + ... + k) >= C. So a checkpoint is due once the log has cost as much as a checkpoint does, counting
    the minute that begins. If no minute closes any more, as at night, the log comes to cost that much as well.

    An item that holds the indicators costs more by them, in each commit. A lane whose item takes one unit anyway never
    needs a checkpoint.
    """
    return version > 1 and 0 < carried.units + carried.expected >= _units(len(state.indicators) * SYMBOL_BYTES)


def _units_of_log(state: LaneState, item_bytes: int) -> int:
    """The write units of an item that are due to its log."""
    of_log = len(state.indicators) * SYMBOL_BYTES if state.log is None else len(state.log) * ENTRY_BYTES
    return _units(item_bytes) - _units(max(1, item_bytes - of_log))


def _units(size: int) -> int:
    return math.ceil(size / DYNAMODB_WRITE_UNIT_BYTES)
