"""Computes the indicators of a symbol again after its bars have changed: in the stored bars and in the live state.

Whoever changes bars marks the symbol before, and computes afterwards. Commands may do so at the same time, and may be
killed at any point: the mark then stays, and the next command that computes the symbol does it. See `refold_note`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from backfill.chunk_file import decode_chunk, key_of
from backfill.errors import Unreadable
from backfill.indicators import WARMUP_BARS, refolded
from backfill.ports import Bars, Chunks, LiveIndicators, OnRow, ignored
from backfill.refold_note import KEY, RefoldNote, note_of
from bars.keys import ONE_MINUTE, bar_keys, start_of
from bars.resolutions import ONE_DAY
from lane_state import Split
from processor_lambda.rows import Row
from processor_lambda.splits import MAX_AGE
from quotes import Action

ATTEMPTS = 10
"""How often a note is written, or a symbol computed, before giving up. Only another command that changes the same
symbol at the same moment costs an attempt."""


class BarsAreBusy(Exception):
    """Other commands change the bars of a symbol all the time."""

    def __init__(self, symbol: str) -> None:
        super().__init__(
            f"other commands changed the bars of {symbol} during each of {ATTEMPTS} attempts to compute its indicators."
            " Its prices are complete. Run the command again"
        )


class Refolded(NamedTuple):
    """What was computed again."""

    bars: int = 0
    """Stored bars whose indicators were replaced."""
    live: bool = False
    """Whether the indicators in the lane's state were replaced."""


class Refolder:
    """Marks symbols whose bars change, and computes their indicators."""

    def __init__(
        self, bars: Bars, chunks: Chunks, live: LiveIndicators, *, run: str, now: Callable[[], datetime]
    ) -> None:
        """`run` is a name that no other run has."""
        self._bars, self._chunks, self._live = bars, chunks, live
        self._run, self._now = run, now

    def mark(self, symbol: str, minute: datetime) -> None:
        """Note that bars from a minute on are about to change. Raises `BarsAreBusy`."""
        for _ in range(ATTEMPTS):
            note = self._note(symbol)
            if self._bars.put_note(note.marked(self._run, minute, self._now()).row(), note.version):
                return
        raise BarsAreBusy(symbol)

    def computed(self, symbol: str, new: Sequence[Row], stored: Mapping[str, Row]) -> list[Row]:
        """New minutes of a symbol, which are in order, with the indicators that follow from what is stored by now.

        `stored` are the stored minutes between them, by key. `refold` corrects what is changed meanwhile. But most rows
        are written only once in this way.
        """
        if not new:
            return []
        since = start_of(str(new[0]["key"]))
        rows = {**stored, **{str(row["key"]): row for row in new}}
        in_order = [rows[key] for key in sorted(rows) if start_of(key) >= since]
        earlier = self._bars.before(symbol, since, WARMUP_BARS)
        changed = refolded([*earlier, *in_order], since, self._splits(symbol, since))
        rows |= {str(row["key"]): row for row in changed}
        return [rows[str(row["key"])] for row in new]

    def refold(self, symbol: str, on_row: OnRow = ignored) -> Refolded:
        """Compute the indicators of a symbol from the first minute that any run has marked.

        Raises `BarsAreBusy`, and `LaneIsBusy`. What was noted stays then.

        The live state comes first: what the stream stores after it has the new indicators already. Before the bars are
        read, the minute is marked for this run too, so nobody takes them for computed while this run writes them.
        """
        written, is_live = 0, False
        for _ in range(ATTEMPTS):
            note = self._note(symbol)
            since = note.since
            if since is None:
                return Refolded(written, is_live)
            started = self._now()
            own = note.marked(self._run, since, started)
            if not self._bars.put_note(own.row(), note.version):
                continue
            splits = self._splits(symbol, since)
            is_live = self._live.refold(symbol, splits) or is_live
            rows = [
                *self._bars.before(symbol, since, WARMUP_BARS),
                *self._bars.between(symbol, *bar_keys(ONE_MINUTE, since)),
            ]
            changed = refolded(rows, since, splits)
            replaced = self._bars.put_unless_changed(changed, on_row)
            written += replaced
            finished = own.finished(self._run, started)
            if replaced == len(changed) and self._bars.put_note(finished.row(), own.version):
                return Refolded(written, is_live)
        raise BarsAreBusy(symbol)

    def _note(self, symbol: str) -> RefoldNote:
        return note_of(symbol, self._bars.between(symbol, KEY, KEY))

    def _splits(self, symbol: str, since: datetime) -> list[Split]:
        """The splits of a symbol: those that the archive knows from a moment on, and the one in the live state."""
        found: dict[datetime, Split] = {}
        for chunk in self._chunks.stored(symbol, ONE_DAY.name):
            if chunk.end > since:
                content = self._chunks.get(chunk)
                with suppress(Unreadable):  # the other chunks of days have the same splits
                    actions = () if content is None else decode_chunk(content, key_of(chunk)).actions
                    found |= {each.time: each for each in map(_split_of, actions) if each is not None}
        live = self._live.split_of(symbol)
        if live is not None and not any(abs(each.time - live.time) <= MAX_AGE for each in found.values()):
            found[live.time] = live
        return [found[time] for time in sorted(found)]


def _split_of(action: Action) -> Split | None:
    if not action.numerator or not action.denominator:
        return None
    return Split(action.event_time, action.numerator, action.denominator, is_declared=True, is_applied=True)
