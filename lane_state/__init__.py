"""The state of a lane: what the stream function remembers between batches, and its bytes.

The stream function reads and writes it, with `lane_state.codec` for the bytes and `processor_lambda.fold` for the rules
by which it changes. Other programs may only read it. They import this package, and nothing of the function.
"""

from lane_state.codec import encode_alert, move, pack, pack_checkpoint, unpack, unpack_checkpoint, version_of
from lane_state.model import (
    ANOTHER_STREAM,
    START,
    WHOLE,
    Alert,
    AlertState,
    Bar,
    Checkpoint,
    DayCounts,
    LaneState,
    LogEntry,
    Position,
    Publication,
    Session,
    Split,
    SymbolState,
)

__all__ = [
    "ANOTHER_STREAM",
    "START",
    "WHOLE",
    "Alert",
    "AlertState",
    "Bar",
    "Checkpoint",
    "DayCounts",
    "LaneState",
    "LogEntry",
    "Position",
    "Publication",
    "Session",
    "Split",
    "SymbolState",
    "encode_alert",
    "move",
    "pack",
    "pack_checkpoint",
    "unpack",
    "unpack_checkpoint",
    "version_of",
]
