"""The ports of `backfill` in memory, with a source whose history is generated, and a process that may be killed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TypeVar

from backfill.chunks import Chunk, FinishedChunk, SourceBar
from backfill.ports import OnRow, ignored
from backfill.refold_note import VERSION
from bars.keys import bar_keys
from bars.provenance import BACKFILL, REBUILD, provenance_of
from bars.resolutions import Span
from bars.sessions import ALWAYS, Session, Sessions, SymbolCalendar, sessions_of_days
from lane_state import Split
from processor_lambda.rows import Row
from quotes import Action

T = TypeVar("T")
PRICES = ("open", "high", "low", "close", "volume")


class Killed(BaseException):
    """The process is gone. No `except Exception` of the program catches it."""


class Process:
    """Counts the calls out of the process, and kills it at one of them: before the call, or after it took effect."""

    def __init__(self) -> None:
        self.calls = 0
        self.kill_before: int | None = None
        self.kill_after: int | None = None

    def call(self, act: Callable[[], T]) -> T:
        """Make a call, unless the process is killed before it."""
        self.calls += 1
        if self.calls == self.kill_before:
            raise Killed
        result = act()
        if self.calls == self.kill_after:
            raise Killed
        return result


class MemoryBars:
    """See `ports.Bars`."""

    def __init__(self, process: Process | None = None, rows: dict[tuple[str, ...], Row] | None = None) -> None:
        """`rows` may be shared with the fake of another program."""
        self.rows: dict[tuple[str, ...], Row] = {} if rows is None else rows
        self.written: list[tuple[str, ...]] = []
        """The keys of bars that were written, with those that were written again."""
        self.process = process or Process()

    def between(self, symbol: str, first: str, last: str) -> list[Row]:
        """See `ports.Bars`."""
        return self.process.call(lambda: self._between(symbol, first, last))

    def provenances(self, symbol: str, first: str, last: str) -> dict[str, str]:
        """See `ports.Bars`."""
        rows = self.process.call(lambda: self._between(symbol, first, last))
        return {str(row["key"]): provenance_of(row) for row in rows}

    def before(self, symbol: str, minute: datetime, count: int) -> list[Row]:
        """See `ports.Bars`."""
        return self.process.call(lambda: self._between(symbol, *bar_keys("1m", None, minute))[-count:])

    def put(self, rows: Sequence[Row]) -> None:
        """See `ports.Bars`."""
        self.process.call(lambda: self.rows.update({_key(row): row for row in rows}))

    def put_bars(self, rows: Sequence[Row], *, over_stream: bool, on_row: OnRow = ignored) -> int:
        """See `ports.Bars`. Each row is a call of its own."""
        return self._each(partial(self._put_bar, over_stream=over_stream), rows, on_row)

    def put_unless_changed(self, rows: Sequence[Row], on_row: OnRow = ignored) -> int:
        """See `ports.Bars`."""
        return self._each(self._put_unless_changed, rows, on_row)

    def put_note(self, row: Row, read: int) -> bool:
        """See `ports.Bars`."""
        return self.process.call(lambda: self._put_note(row, read))

    def bars(self, symbol: str, resolution: str = "1m") -> dict[str, Row]:
        """The stored bars of a symbol by key."""
        return {str(row["key"]): row for row in self._between(symbol, *bar_keys(resolution))}

    def _between(self, symbol: str, first: str, last: str) -> list[Row]:
        return [self.rows[key] for key in sorted(self.rows) if key[0] == symbol and first <= key[1] <= last]

    def _each(self, put: Callable[[Row], bool], rows: Sequence[Row], on_row: OnRow) -> int:
        written = 0
        for row in rows:
            is_written = self.process.call(partial(put, row))
            written += is_written
            on_row(is_written)
        return written

    def _put_note(self, row: Row, read: int) -> bool:
        stored = self.rows.get(_key(row))
        if (0 if stored is None else stored[VERSION]) != read:
            return False
        self.rows[_key(row)] = row
        return True

    def _put_bar(self, row: Row, *, over_stream: bool) -> bool:
        stored = self.rows.get(_key(row))
        if stored is not None:
            provenance = provenance_of(stored)
            if provenance == REBUILD or (provenance != BACKFILL and not over_stream):
                return False
        self.rows[_key(row)] = row
        self.written.append(_key(row))
        return True

    def _put_unless_changed(self, row: Row) -> bool:
        stored = self.rows.get(_key(row))
        if stored is None or provenance_of(stored) != provenance_of(row):
            return False
        if any(stored.get(name) != row.get(name) for name in PRICES):
            return False
        self.rows[_key(row)] = row
        return True


class MemoryChunks:
    """See `ports.Chunks`."""

    def __init__(self, process: Process | None = None) -> None:
        self.objects: dict[Chunk, bytes] = {}
        self.process = process or Process()

    def stored(self, symbol: str, resolution: str) -> list[Chunk]:
        """See `ports.Chunks`."""
        return self.process.call(
            lambda: sorted(each for each in self.objects if (each.symbol, each.resolution) == (symbol, resolution))
        )

    def get(self, chunk: Chunk) -> bytes | None:
        """See `ports.Chunks`."""
        return self.process.call(lambda: self.objects.get(chunk))

    def put(self, chunk: Chunk, content: bytes) -> None:
        """See `ports.Chunks`."""
        self.process.call(lambda: self.objects.update({chunk: content}))


class MemoryCharts:
    """See `ports.Charts`. It has the bars in `history`, by symbol and resolution."""

    def __init__(self, now: Callable[[], datetime], process: Process | None = None) -> None:
        self.history: dict[tuple[str, str], list[SourceBar]] = {}
        self.actions: dict[str, list[Action]] = {}
        self.requests: list[Chunk] = []
        self.splits: list[tuple[Action, ...]] = []
        self.sessions: dict[Chunk, list[Span]] = {}
        self.fault: Callable[[Chunk], Exception | None] = lambda _: None
        self.ends_early: dict[Chunk, datetime] = {}
        self.process = process or Process()
        self._now = now

    def fetch(self, chunk: Chunk, sessions: Sequence[Span], splits: Sequence[Action]) -> FinishedChunk:
        """See `ports.Charts`. A request is in `requests` once it has an answer."""
        self.sessions[chunk] = list(sessions)
        return self.process.call(lambda: self._fetch(chunk, tuple(splits)))

    def _fetch(self, chunk: Chunk, splits: tuple[Action, ...]) -> FinishedChunk:
        self.requests.append(chunk)
        self.splits.append(splits)
        error = self.fault(chunk)
        if error is not None:
            raise error
        now = self._now()
        complete_to = min(chunk.end, now, self.ends_early.get(chunk, chunk.end))
        bars = self.history.get((chunk.symbol, chunk.resolution), [])
        return FinishedChunk(
            chunk=chunk,
            fetched_at=now,
            complete_to=complete_to,
            source="yahoo",
            bars=tuple(bar for bar in bars if chunk.start <= bar.start < complete_to),
            actions=tuple(each for each in self.actions.get(chunk.symbol, ()) if chunk.start <= each.event_time <= now),
        )


class MemoryLive:
    """See `ports.LiveIndicators`. It notes which symbols were refolded, and from which splits."""

    def __init__(self, process: Process | None = None) -> None:
        self.refolds: list[tuple[str, tuple[Split, ...]]] = []
        self.error: Exception | None = None
        self.split: dict[str, Split] = {}
        self.process = process or Process()

    def refold(self, symbol: str, splits: Sequence[Split]) -> bool:
        """See `ports.LiveIndicators`."""
        return self.process.call(lambda: self._refold(symbol, splits))

    def split_of(self, symbol: str) -> Split | None:
        """See `ports.LiveIndicators`."""
        return self.process.call(lambda: self.split.get(symbol))

    def _refold(self, symbol: str, splits: Sequence[Split]) -> bool:
        if self.error is not None:
            raise self.error
        self.refolds.append((symbol, tuple(splits)))
        return True


class MemorySessions:
    """Sessions by the name of their calendar, all of them known."""

    def __init__(self, sessions: dict[str, list[Session]]) -> None:
        self.sessions = sessions
        self.known_from = datetime(2020, 1, 1, tzinfo=UTC)
        self.known_to = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self, calendar: SymbolCalendar, start: datetime, end: datetime) -> Sessions:
        """The sessions of the days that have one in a range of time."""
        if calendar.calendar == ALWAYS:
            return sessions_of_days(calendar, start, end, lambda *_: ())
        own = self.sessions[calendar.calendar]
        days = {each.day for each in own if each.opens < end and each.closes > start}
        return Sessions([each for each in own if each.day in days], self.known_from, self.known_to)


def bar_at(start: datetime, price: int = 100, volume: int | None = 10) -> SourceBar:
    """A bar whose prices follow from its start, so that no two neighbours are alike."""
    close = Decimal(price) + Decimal(int(start.timestamp()) // 60 % 97) / 100
    return SourceBar(start, close - Decimal("0.01"), close + Decimal("0.02"), close - Decimal("0.03"), close, volume)


def minutes_between(start: datetime, end: datetime) -> list[datetime]:
    """The minutes from a moment to just before another."""
    return [start + timedelta(minutes=each) for each in range(int((end - start).total_seconds()) // 60)]


def _key(row: Row) -> tuple[str, ...]:
    return str(row["symbol"]), str(row["key"])
