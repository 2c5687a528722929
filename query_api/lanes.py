"""The lanes' states, each kept for one second. So viewers who poll at the same time cost one read a second."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from lane_state import LaneState, unpack
from query_api.errors import NewerState
from query_api.ports import StateTable
from quotes import lane_of, partition_key

SECONDS = 1.0
"""How long a state is kept."""


class Lanes:
    """The states of all lanes of the stream."""

    def __init__(self, table: StateTable, lanes: int, monotonic: Callable[[], float]) -> None:
        self._table, self._count, self._monotonic = table, lanes, monotonic
        self._kept: dict[str, tuple[float, LaneState | None]] = {}

    def forget(self) -> None:
        """Read every lane again with the next request."""
        self._kept.clear()

    def all(self) -> dict[str, LaneState]:
        """The states of all lanes that were ever committed, by partition key."""
        return self._read([partition_key(lane, self._count) for lane in range(self._count)])

    def of(self, symbols: Iterable[str]) -> dict[str, LaneState]:
        """The states of the lanes of some symbols, by partition key."""
        return self._read(sorted({partition_key(lane_of(symbol, self._count), self._count) for symbol in symbols}))

    def of_symbol(self, symbol: str) -> LaneState | None:
        """The state of a symbol's lane; None if the lane was never committed."""
        return next(iter(self.of([symbol]).values()), None)

    def _read(self, keys: list[str]) -> dict[str, LaneState]:
        now = self._monotonic()
        if old := [key for key in keys if key not in self._kept or now - self._kept[key][0] >= SECONDS]:
            packed = self._table.read(old)
            for key in old:
                self._kept[key] = (now, _unpacked(packed[key]) if key in packed else None)
        return {key: state for key in keys if (state := self._kept[key][1]) is not None}


def as_of(states: Mapping[str, LaneState]) -> datetime | None:
    """The newest clock or event time of lanes, so that answers change only when data does. None without any."""
    times = [state.clock for state in states.values() if state.clock is not None]
    times += [symbol.event_time for state in states.values() for symbol in state.symbols.values()]
    return max(times, default=None)


def settled(end: datetime | None, states: Iterable[LaneState]) -> datetime | None:
    """The end of a range, if lanes are complete up to it, so that only late quotes may still come; otherwise None."""
    complete = [state.complete_to for state in states]
    if end is None or not complete or any(each is None or each < end for each in complete):
        return None
    return end


def _unpacked(packed: bytes) -> LaneState:
    try:
        return unpack(packed)
    except ValueError as error:
        raise NewerState(str(error)) from error
