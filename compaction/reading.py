"""Reads the objects of an arrival day into the staging, several at once, in blocks of many lines."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from compaction.arrivals import Place, is_ahead, place_of
from compaction.counted import Counts
from compaction.errors import Damaged, Unavailable
from compaction.line_columns import ORIGIN, Read, RefusedLine, read
from compaction.object_lines import lines_of
from compaction.ports import Archive, ArchiveObject
from compaction.staging import Staging
from quotes import Action

READERS = 8
"""How many objects are fetched at once."""
_AHEAD = 4 * READERS
"""How many objects may be in memory before their turn."""
_LINES = 15_000
"""How many lines are decoded at once. Less takes more time a line, and more takes more memory."""


class ArrivedAction(msgspec.Struct, frozen=True):
    """A corporate action and where its line lies."""

    place: Place
    action: Action


class ArrivalReader:
    """Reads arrival days into a staging."""

    def __init__(self, archive: Archive, staging: Staging) -> None:
        self._archive, self._staging = archive, staging

    def read(
        self, objects: Sequence[ArchiveObject], on_progress: Callable[[int], None]
    ) -> tuple[Counts, list[ArrivedAction]]:
        """Stage the quotes of an arrival day's objects, and count these. Raises `Damaged` or `Unavailable`.

        After an error, let the staging forget the day.

        `on_progress` gets the bytes of each object.
        """
        counts = Counts(objects=len(objects), bytes=sum(each.bytes for each in objects))
        refused: set[RefusedLine] = set()
        actions: list[ArrivedAction] = []
        lines: list[bytes] = []
        origins: list[int] = []
        numbers: set[int] = set()
        for number, piece in self._pieces(objects, on_progress):
            numbers.add(number)
            lines += piece
            origins += [number] * len(piece)
            if len(lines) >= _LINES:
                self._take(read(lines, origins, self._address), counts, refused, actions)
                lines, origins = [], []
        self._take(read(lines, origins, self._address), counts, refused, actions)
        counts.quarantined = len(refused)
        counts.packets = self._staging.packets(numbers, counts.lanes)
        return counts, actions

    def _take(self, found: Read, counts: Counts, refused: set[RefusedLine], actions: list[ArrivedAction]) -> None:
        refused.update(found.refused)
        counts.quote_lines += found.quotes.num_rows
        counts.heartbeats += len(found.heartbeats)
        counts.actions += len(found.actions)
        counts.lanes = max(filter(None, (counts.lanes, found.lanes)), default=None)
        actions.extend(ArrivedAction(self._staging.place(number), action) for number, action in found.actions)
        if found.quotes.num_rows:
            range_ = pc.min_max(found.quotes["event_time"])
            first, last = range_["min"].as_py().date(), range_["max"].as_py().date()
            counts.first_event_day = min(counts.first_event_day or first, first)
            counts.last_event_day = max(counts.last_event_day or last, last)
            counts.ahead = max(filter(None, (counts.ahead, self._ahead(found.quotes, last))), default=None)
            self._staging.add(found.quotes)

    def _ahead(self, quotes: pa.Table, last: date) -> date | None:
        """`last`, the last event day of some quotes, if one of it arrived so early. None otherwise."""
        of_last = quotes.filter(pc.equal(pc.cast(quotes["event_time"], pa.date32()), last))
        numbers = pc.unique(of_last[ORIGIN]).to_pylist()
        return last if any(is_ahead(self._staging.place(number), last) for number in numbers) else None

    def _pieces(
        self, objects: Sequence[ArchiveObject], on_progress: Callable[[int], None]
    ) -> Iterator[tuple[int, list[bytes]]]:
        """The lines of each object, with the object's number."""
        with ThreadPoolExecutor(READERS) as pool:
            waiting: deque[tuple[ArchiveObject, Future[bytes | None]]] = deque()
            try:
                for each in [*objects, *[None] * _AHEAD]:
                    if each is not None:
                        waiting.append((each, pool.submit(self._archive.get, each.key)))
                    if waiting and (each is None or len(waiting) >= _AHEAD):
                        oldest, body = waiting.popleft()
                        yield from self._lines(oldest, body.result())
                        on_progress(oldest.bytes)
            finally:
                for _, body in waiting:
                    body.cancel()

    def _lines(self, of: ArchiveObject, body: bytes | None) -> Iterator[tuple[int, list[bytes]]]:
        address = f"{self._archive.root}/{of.key}"
        place = place_of(of.key)
        if place is None:
            raise Damaged(f"{address} is not an object that the processor archived: move it elsewhere")
        if body is None:
            raise Unavailable(f"{address} was deleted while it was read")
        number = self._staging.number_of(place)
        for lines in lines_of(body, address):
            yield number, lines

    def _address(self, number: int) -> str:
        place = self._staging.place(number)
        return f"{self._archive.root}/raw-data/dt={place.dt}/hour={place.hour:02d}/{place.name}"
