"""Gives a lane's live state the indicators that follow from the stored bars, while the stream function goes on.

The function commits the same item, so the command commits like another invocation: on condition that the position and
the number of edits are still those that were read. It keeps the position and everything that is pending, and counts one
more edit. So a copy that an instance of the function still has in memory conflicts with the next commit and is read
again. `tests/model` plays this with the function.

An earlier release of the function does not know edits. Its commit from such a copy undoes the change, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec.structs import replace

import indicators
from indicators import Indicators
from lane_state import Bar, LaneState, Split, SymbolState
from processor_lambda.checkpoints import restored
from processor_lambda.errors import CommitConflict
from processor_lambda.ports import Stored
from processor_lambda.rows import Row, bar_row
from processor_lambda.splits import MAX_AGE
from processor_lambda.symbol_state import unpacked
from processor_lambda.warmup import warmed_up
from quotes import lane_of, partition_key

ATTEMPTS = 20
"""How often a lane is read and committed before giving up. An attempt takes about a tenth of a second, and the function
commits a busy lane some times a second."""
PATIENT_ATTEMPTS = 10
"""In the first attempts, it waits until the decided bars of the symbol are stored, which takes some hundredths of a
second. Their rows have the indicators from before. A function that has stopped stores them with its next batch."""
BARS = 1_000
"""How many stored bars the indicators are computed from. Older bars weigh less than 1e-14 in the slowest indicator."""


class LaneIsBusy(Exception):
    """The stream function commits a lane so often that the indicators of a symbol could not be replaced."""

    def __init__(self, lane: str, symbol: str) -> None:
        super().__init__(
            f"the state of {lane} still has the earlier indicators of {symbol}: the stream function committed the lane"
            f" during each of {ATTEMPTS} attempts. The stored bars are complete. Run the command again"
        )


class LaneStates(Protocol):
    """The table of the lanes' states."""

    def read(self, lane: str) -> Stored:
        """Read a lane with strong consistency. Its items may be read at different times."""

    def commit(self, lane: str, state: LaneState, read: LaneState) -> None:
        """Store a state if position and edits of the stored one are still those of `read`.

        Raises `CommitConflict` otherwise, and if nothing is stored.
        """


class StoredBars(Protocol):
    """The table of bars. Reads are consistent."""

    def before(self, symbol: str, minute: datetime, count: int) -> list[Row]:
        """The last rows of minutes of a symbol before a minute, at most `count`, oldest first."""


def refold(states: LaneStates, symbol: str, bars: StoredBars, splits: Sequence[Split], lanes: int) -> bool:
    """Give the state of a symbol's lane the indicators that follow from its stored bars.

    `splits` are those that are known of the symbol, and `lanes` is the number of lanes of the stream. Returns whether
    the state has changed. It stays as it is if it has these indicators already, or if there are no stored bars, or if
    it does not know the symbol, which then starts from its stored bars. Raises `LaneIsBusy`.

    Afterwards, every row with earlier indicators is stored and can be corrected, unless the function has stopped before
    it stored the bars of a commit.
    """
    lane = partition_key(lane_of(symbol, lanes), lanes)
    for attempt in range(ATTEMPTS):
        stored = states.read(lane)
        state = restored(stored.state, stored.checkpoint)
        if state is None:
            continue  # its items were read while the function wrote them
        known = state.symbols.get(symbol)
        if known is None:
            return False
        unpublished = _unpublished(stored, symbol)
        if unpublished and attempt < PATIENT_ATTEMPTS:
            continue
        after = _indicators_of(symbol, state, unpublished, bars, splits)
        if after in (Indicators(), unpacked(state.indicators.get(symbol, b""))):
            return False
        try:
            states.commit(lane, _edited(state, symbol, after), state)
        except CommitConflict:
            continue
        return True
    raise LaneIsBusy(lane, symbol)


def _edited(state: LaneState, symbol: str, after: Indicators) -> LaneState:
    """A state with other indicators of a symbol. The log does not lead to them, so the item holds them all."""
    packed = state.indicators | {symbol: indicators.pack(after)}
    return replace(state, indicators=packed, log=None, edits=state.edits + 1)


def _unpublished(stored: Stored, symbol: str) -> list[Bar]:
    """The bars of a symbol that the function has decided and may not have stored yet."""
    bars = [publication.bar for publication in stored.state.pending if publication.number > stored.published]
    return [bar for bar in bars if bar is not None and bar.symbol == symbol]


def _indicators_of(
    symbol: str, state: LaneState, unpublished: Sequence[Bar], bars: StoredBars, splits: Sequence[Split]
) -> Indicators:
    """The indicators after all closed minutes of a symbol: the stored ones, and those that are still to be published.

    The state is read before the bars. If bars are stored in between, the state has changed, and its commit conflicts.
    """
    known = state.symbols[symbol]
    rows = {row["key"]: row for row in bars.before(symbol, _end_of_closed_minutes(known, state), BARS)}
    for bar in unpublished:
        row = bar_row(bar, ttl_days=0)
        rows[row["key"]] = row
    in_order = [rows[key] for key in sorted(rows, key=str)][-BARS:]
    return warmed_up(in_order, _in_force(known.split, splits, known.event_time))


def _end_of_closed_minutes(known: SymbolState, state: LaneState) -> datetime:
    """The end of the minutes that the function has closed. It may still get quotes of later ones."""
    if known.bar is not None:
        return known.bar.minute
    end = known.event_time if state.complete_to is None else state.complete_to
    return end.replace(second=0, microsecond=0)


def _in_force(known: Split | None, declared: Sequence[Split], last: datetime) -> list[Split]:
    """The splits that change the shares of a symbol's indicators. `known` is the one that its state remembers.

    The function rescales the indicators when it applies a split. It does so with the first quote in new shares, so one
    that is known and not applied is not in force. The declared one may have another time than the one that was
    inferred from prices.
    """
    others = [each for each in declared if each.time <= last and not _is_same(each, known)]
    return [*others, known] if known is not None and known.is_applied else others


def _is_same(split: Split, known: Split | None) -> bool:
    return known is not None and abs(split.time - known.time) <= MAX_AGE
