"""What is wrong with the rows of a symbol's charts, as a test declares it. Yahoo's charts have each of these faults."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from tests.fakes.yahoo.sessions import Session
from tests.fakes.yahoo.tapes import Bar

Spans = list[tuple[float, float]]
"""Times from the first to just before the second, in seconds since 1970."""


class ChartFault(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What is wrong with the charts of a symbol."""

    symbol: str
    interval: str = ""
    """The charts of this interval alone. Empty is all of them."""
    cut: Spans = []
    """There are no rows of these times."""
    null: Spans = []
    """The rows of these times are null."""
    no_volume: Spans = []
    """The volume of these times is zero."""
    repeat: Spans = []
    """The rows of these times are once more at the end."""
    ends_at: float | None = None
    """The answer ends here, although Yahoo has later rows."""
    closing_rows: bool = False
    """Each session that is over has a row at its end, of the closing auction and without volume."""
    reverse: bool = False
    """The rows are in the wrong order."""
    meta: dict[str, Any] = {}
    """Fields of the chart's `meta` that are different, such as `symbol` or `currency`."""
    times: int = -1
    """How many charts it affects. -1 is all of them."""


class ChartFaults:
    """The faults in force."""

    def __init__(self) -> None:
        self._faults: list[ChartFault] = []

    def add(self, fault: ChartFault) -> None:
        """Add a fault."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()

    def take(self, symbol: str, interval: str) -> list[ChartFault]:
        """The faults of a chart that is about to be answered."""
        taken = [
            fault
            for fault in self._faults
            if fault.times and fault.symbol.upper() == symbol.upper() and fault.interval in {"", interval}
        ]
        for fault in taken:
            fault.times -= fault.times > 0
        return taken


def disturbed(
    rows: list[Bar | int], faults: Iterable[ChartFault], sessions: list[Session], now: float
) -> list[Bar | int]:
    """The rows of a chart with its faults."""
    for fault in faults:
        if fault.closing_rows:
            rows = _with_closing_rows(rows, sessions, now)
        end = math.inf if fault.ends_at is None else fault.ends_at
        rows = [row for row in rows if _start(row) < end and not _in(fault.cut, row)]
        rows = [_start(row) if _in(fault.null, row) else row for row in rows]
        rows = [replace(row, volume=0) if isinstance(row, Bar) and _in(fault.no_volume, row) else row for row in rows]
        rows += [row for row in rows if _in(fault.repeat, row)]
        if fault.reverse:
            rows = rows[::-1]
    return rows


def _with_closing_rows(rows: list[Bar | int], sessions: list[Session], now: float) -> list[Bar | int]:
    closing: list[Bar | int] = []
    for session in sessions:
        trades = [row for row in rows if isinstance(row, Bar) and session.start <= row.start < session.end]
        if trades and session.end <= now:
            close = trades[-1].close
            closing.append(Bar(session.end, close, close, close, close, 0))
    return sorted([*rows, *closing], key=_start)


def _start(row: Bar | int) -> int:
    return row.start if isinstance(row, Bar) else row


def _in(spans: Spans, row: Bar | int) -> bool:
    return any(start <= _start(row) < end for start, end in spans)
