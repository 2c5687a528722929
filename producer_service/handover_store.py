"""The state that a stopped producer leaves for the next one, and the protocol of the store that keeps it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol

import msgspec

from aws_limits import KINESIS_RECORD_BYTES
from producer_service.deduplication import DIGEST_BYTES, MAX_CONTENTS, SymbolHistory
from producer_service.packing import Row
from quotes import MAX_LINES, Heartbeat, Quote, decode, is_symbol, lane_of, partition_key

MAX_KEY_BYTES = 16
"""The longest partition key of a lane, as Kinesis counts it within a record."""
_MAX_REVISION = 2**31


class UndeliveredState(msgspec.Struct, frozen=True):
    """Everything that a producer knows when it stops: its undelivered rows, and the history of each symbol."""

    lanes: int
    """The number of lanes of the producer that left it."""
    rows: tuple[Row, ...]
    """The undelivered rows, lane by lane, each lane's in their order."""
    histories: dict[str, SymbolHistory]

    @property
    def quotes(self) -> int:
        """The number of quotes in the rows."""
        return sum(row.quotes for row in self.rows)


class HandoverStore(Protocol):
    """Keeps undelivered states under keys that sort by the time at which they were written."""

    def put(self, key: str, state: UndeliveredState) -> None:
        """Store a state. Raises `HandoverUnavailable`."""

    def waiting(self) -> Iterable[str]:
        """The keys of the stored states, oldest first. Raises `HandoverUnavailable`."""

    def get(self, key: str) -> UndeliveredState | None:
        """The state under a key, or None if another producer took it meanwhile.

        Raises `UnusableState` if it is damaged, `ForeignState` if it is of another version, or `HandoverUnavailable`.
        """

    def delete(self, key: str) -> None:
        """Remove a state. Removing it twice is not an error. Raises `HandoverUnavailable`."""

    def set_aside(self, key: str, reason: str) -> None:
        """Keep a state that cannot be used, with the reason, where it does not wait. Raises `HandoverUnavailable`."""


def problem_of(state: UndeliveredState) -> str | None:
    """Why a state that was read from a store cannot be used; None if it can.

    A state comes from another program at another time, and a wrong row would block its lane for ever. So nothing of a
    state is accepted before every row and every history was checked.
    """
    for number, row in enumerate(state.rows, 1):
        problem = _problem_of_row(row, state.lanes)
        if problem is not None:
            return f"row {number}: {problem}"
    for symbol, history in state.histories.items():
        if not is_symbol(symbol):
            return f"the history of {symbol!r:.40}: it is not a symbol"
        if (
            history.event_time.tzinfo is None
            or not 0 <= history.revision < _MAX_REVISION
            or not 0 < len(history.contents) <= MAX_CONTENTS
            or any(len(digest) != DIGEST_BYTES for digest in history.contents)
        ):
            return f"the history of {symbol}: its time, revision or digests are not possible"
    return None


def _problem_of_row(row: Row, lanes: int) -> str | None:
    problem = None
    if not 0 <= row.lane < lanes:
        problem = f"lane {row.lane} of {lanes} lanes"
    elif not all(map(math.isfinite, (row.accepted_at, *row.available_at))):
        problem = "a time is not a number"
    elif len(row.lines) + MAX_KEY_BYTES > KINESIS_RECORD_BYTES:
        problem = f"{len(row.lines)} bytes, more than a record holds"
    elif not row.lines.endswith(b"\n"):
        problem = "its last line is cut off"
    return problem or _problem_of_lines(row, lanes)


def _problem_of_lines(row: Row, lanes: int) -> str | None:
    decoded = decode(row.lines, max_lines=MAX_LINES)
    for bad in decoded.bad:
        return f"line {bad.number}: {bad.reason}"
    of_lane = [good.line.lane for good in decoded.good if isinstance(good.line, Heartbeat)]
    of_symbol = [good.line for good in decoded.good if not isinstance(good.line, Heartbeat)]
    quotes = sum(isinstance(line, Quote) for line in of_symbol)
    keys = {*of_lane, *(partition_key(lane_of(line.symbol, lanes), lanes) for line in of_symbol)}
    if keys - {partition_key(row.lane, lanes)}:
        return f"a line does not belong to lane {row.lane}"
    if not quotes <= row.quotes <= len(of_symbol):
        return f"{quotes} quotes, and {row.quotes} were counted"
    return None
