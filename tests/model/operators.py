"""Operators who replace indicators in the lanes' states, as a backfill does, while the function goes on.

An operator runs the real `refold` for one symbol and pauses before each of its calls. A scheduler decides when it goes
on. What the backfill has found are bars from before the open.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache

from backfill.lane_refold import LaneIsBusy, refold
from bars.keys import ONE_MINUTE, bar_key
from lane_state import LaneState
from processor_lambda.ports import Stored
from processor_lambda.rows import Row
from tests.fakes.lane_states import MemoryLaneStates
from tests.fakes.pipeline import LANES
from tests.model.cloud import Cloud, old_bar, with_item
from tests.model.history import Edit
from tests.model.pausable_thread import PausableThread

MINUTES = range(-60, -26)
"""The minutes of the backfilled bars, from the open on. They are before all others."""


@cache
def backfilled(symbol: str) -> dict[str, Row]:
    """The bars that the backfill has found, by their keys."""
    rows = [old_bar(symbol, minute) for minute in MINUTES]
    return {str(row["key"]): row for row in rows}


def bars_before(cloud: Cloud, symbol: str, end: datetime) -> list[Row]:
    """The stored bars of a symbol before a minute, with the backfilled ones, oldest first."""
    stored = {key[1]: row for key, row in cloud.bar_rows.items() if key[0] == symbol}
    return [row for key, row in sorted((backfilled(symbol) | stored).items()) if key < bar_key(ONE_MINUTE, end)]


class Ended(BaseException):
    """The command of an operator ends here."""


class OperatorStates(MemoryLaneStates):
    """The table of the lanes' states, as an operator's command uses it."""

    def __init__(self, cloud: Cloud, pause: Callable[[], None], note: Callable[[str, LaneState], None]) -> None:
        """`pause` is called before each call, and `note` after each commit."""
        super().__init__(cloud)
        self._cloud, self._pause, self._note = cloud, pause, note

    def read(self, lane: str) -> Stored:
        """See `lane_refold.LaneStates`. The function may go on between the reads of two items."""
        read = Stored(LaneState(), 0)
        for kind in self._cloud.read_order:
            self._pause()
            read = with_item(kind, read, self._cloud.state_table.stored(lane))
        return read

    def commit(self, lane: str, state: LaneState, read: LaneState) -> None:
        """See `lane_refold.LaneStates`."""
        self._pause()
        super().commit(lane, state, read)
        self._note(lane, state)


MakeStates = Callable[[Cloud, Callable[[], None], Callable[[str, LaneState], None]], OperatorStates]
"""Makes the table for one command."""


class OperatorBars:
    """The table of bars, as an operator's command uses it."""

    def __init__(self, cloud: Cloud, pause: Callable[[], None]) -> None:
        self._cloud, self._pause = cloud, pause

    def before(self, symbol: str, minute: datetime, count: int) -> list[Row]:
        """See `lane_refold.StoredBars`."""
        self._pause()
        return bars_before(self._cloud, symbol, minute)[-count:]


class Operators:
    """One operator for each symbol. Each starts the command again when it has ended."""

    def __init__(self, cloud: Cloud, states: MakeStates, note: Callable[[Edit], None]) -> None:
        self._cloud, self._states, self._note = cloud, states, note
        self._running: dict[str, PausableThread] = {}
        self._is_killed = False

    def go_on(self, symbol: str) -> None:
        """Let the operator of a symbol make one more call."""
        if symbol not in self._running:
            self._start(symbol)
        self._resume(symbol)

    def end(self, *, kill: bool) -> None:
        """Let each command that runs go on to its end, or kill it."""
        self._is_killed = kill
        while self._running:
            self._resume(next(iter(self._running)))
        self._is_killed = False

    def _start(self, symbol: str) -> None:
        def pause() -> None:
            thread.pause()
            if self._is_killed:
                raise Ended

        def note(lane: str, state: LaneState) -> None:
            self._note(Edit(lane, symbol, state.position))

        def command() -> None:
            try:
                states, bars = self._states(self._cloud, pause, note), OperatorBars(self._cloud, pause)
                refold(states, symbol, bars, (), LANES)
            except (Ended, LaneIsBusy):
                pass

        thread = self._running[symbol] = PausableThread(command)
        thread.resume()

    def _resume(self, symbol: str) -> None:
        thread = self._running[symbol]
        if not thread.is_done:
            thread.resume()
        if thread.is_done:
            del self._running[symbol]
