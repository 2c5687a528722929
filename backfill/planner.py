"""Plans a backfill from what is stored, what was asked before, and the chunks in the archive. It changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import NamedTuple

import msgspec

from backfill.chunk_file import decode_chunk, key_of
from backfill.chunks import Chunk, FinishedChunk
from backfill.days import ExchangeDay, days_of, with_weekdays
from backfill.errors import Unreadable
from backfill.plan import (
    LOOK_BACK,
    DayRange,
    Known,
    Limit,
    MissingDay,
    chunk_of_splits,
    forgotten_first,
    missing_days,
    plan_symbol,
)
from backfill.ports import Bars, Chunks
from backfill.rows import asked_spans, failed_at, failed_key
from bars.keys import ONE_MINUTE, asked_keys, bar_keys, start_of
from bars.provenance import STREAM
from bars.resolutions import MINUTE, ONE_DAY, RESOLUTIONS, Span
from bars.sessions import Sessions, SymbolCalendar

_DAY = timedelta(days=1)

SessionsOf = Callable[[SymbolCalendar, datetime, datetime], Sessions]
"""All sessions of the days that have a session in a range of time."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a person or a schedule wants to be filled."""

    symbols: Mapping[str, SymbolCalendar]
    resolution: str
    limit: Limit
    days: DayRange
    again: bool = False
    """Ask again for what the source had no bar of before."""
    over_stream: bool = False
    """Ask for the minutes that the stream has stored as well, and replace them."""


class Planned(NamedTuple):
    """What a backfill will do with one symbol."""

    calendar: SymbolCalendar
    days: list[ExchangeDay]
    """The days that the plan is about, and the present one."""
    archived: list[Chunk]
    """Chunks that an earlier run has finished, but not stored completely."""
    chunks: list[Chunk]
    daily: Chunk | None
    """The chunk of days that shows the symbol's splits up to now. None if no chunk needs it.

    Each run asks for it again: as soon as the source declares a split, which may be late, it divides earlier prices.
    """
    forgotten: list[date]
    is_unknown: bool
    failed_at: datetime | None
    """When the source last gave no usable answer about the symbol. None if it has answered since."""
    missing: Sequence[MissingDay]
    """The days that lack bars, also those that the source does not keep any more."""
    later: int
    """How many minutes are stored after the first missing one, as far as the plan goes."""

    def rows_in(self, chunk: Chunk) -> int:
        """How many bars of a chunk are to be written, if the source has all of them."""
        if chunk == self.daily:
            return sum(chunk.start <= day.midnight < chunk.end for day in self.days)
        days = (each for each in self.missing if chunk.start <= each.day.start and each.day.end <= chunk.end)
        return sum(bars_in(each.spans, chunk.resolution) for each in days)

    @property
    def rows(self) -> int:
        """How many bars are to be written, if the source has all of them."""
        daily = [] if self.daily is None else [self.daily]
        return sum(self.rows_in(chunk) for chunk in (*self.archived, *self.chunks, *daily))

    @property
    def recomputed(self) -> int:
        """How many stored minutes get other indicators, because there are new bars before them."""
        return self.later if self.archived or self.chunks else 0

    @property
    def requests(self) -> int:
        """How many requests the symbol takes."""
        return len(self.chunks) + (self.daily is not None)


class Plan(NamedTuple):
    """What a backfill will do, by symbol. Symbols without anything to do are in it too."""

    wish: Wish
    symbols: Mapping[str, Planned]

    @property
    def chunks(self) -> list[Chunk]:
        """The chunks to ask for, in this order.

        Symbols that failed come last, those that have waited longest first. So a run that stops after some failures
        leaves the same symbols behind only if nothing else is left.
        """
        failed = [(each.failed_at, each.chunks) for each in self.symbols.values() if each.failed_at is not None]
        others = (chunk for each in self.symbols.values() if each.failed_at is None for chunk in each.chunks)
        return [*forgotten_first(others), *(chunk for _, chunks in sorted(failed) for chunk in chunks)]

    @property
    def archived(self) -> list[Chunk]:
        """The chunks to store from the archive."""
        return forgotten_first(chunk for each in self.symbols.values() for chunk in each.archived)

    @property
    def rows(self) -> int:
        """How many bars are to be written, if the source has all of them."""
        return sum(each.rows for each in self.symbols.values())

    @property
    def recomputed(self) -> int:
        """How many stored minutes get other indicators, because there are new bars before them."""
        return sum(each.recomputed for each in self.symbols.values())

    @property
    def requests(self) -> int:
        """How many requests it takes."""
        return sum(each.requests for each in self.symbols.values())


class Planner:
    """Plans for one table of bars and one archive."""

    def __init__(self, bars: Bars, chunks: Chunks, sessions_of: SessionsOf) -> None:
        self._bars, self._chunks, self._sessions_of = bars, chunks, sessions_of

    def plan(self, wish: Wish, now: datetime, on_progress: Callable[[int], None] = lambda _: None) -> Plan:
        """The plan for a wish. `on_progress` is called with 1 after each symbol."""
        planned: dict[str, Planned] = {}
        for symbol, calendar in wish.symbols.items():
            planned[symbol] = self._plan(symbol, calendar, wish, now)
            on_progress(1)
        return Plan(wish, planned)

    def _plan(self, symbol: str, calendar: SymbolCalendar, wish: Wish, now: datetime) -> Planned:
        known = self._known(symbol, calendar, wish, now)
        missing = missing_days(known, wish.resolution, wish.days, now)
        archived: list[Chunk] = []
        if missing and not wish.again:
            gaps = [span for each in missing for span in each.spans]
            stored = self._chunks.stored(symbol, wish.resolution)
            read = self._read(each for each in stored if _overlaps(each.start, each.end, gaps))
            found = [each for each in read if _overlaps(each.chunk.start, each.complete_to, gaps)]
            archived = [each.chunk for each in found]
            known = known._replace(asked=[*known.asked, *(Span(each.chunk.start, each.complete_to) for each in found)])
        planned = plan_symbol(known, wish.resolution, wish.limit, wish.days, now)
        needs_splits = planned.chunks and wish.resolution != ONE_DAY.name
        daily = chunk_of_splits(symbol, calendar.zone, planned.chunks[0], now) if needs_splits else None
        return Planned(
            calendar,
            days_of(known.sessions, known.zone),
            archived,
            list(planned.chunks),
            daily,
            list(planned.forgotten),
            planned.is_unknown,
            self._failed_at(symbol, wish.resolution) if planned.chunks else None,
            missing,
            _later(known.stored, missing) if wish.resolution == ONE_MINUTE else 0,
        )

    def _failed_at(self, symbol: str, resolution: str) -> datetime | None:
        key = failed_key(resolution)
        return failed_at(self._bars.between(symbol, key, key))

    def _known(self, symbol: str, calendar: SymbolCalendar, wish: Wish, now: datetime) -> Known:
        start, end = wish.days.span(calendar.zone)
        sessions = self._sessions_of(calendar.of_possible_trades, start - LOOK_BACK, max(end, now))
        # A session of the first day may begin on the evening before it.
        stored = self._bars.provenances(symbol, *bar_keys(wish.resolution, start - _DAY, end + _DAY))
        starts = [
            start_of(key) for key, provenance in stored.items() if not (wish.over_stream and provenance == STREAM)
        ]
        asked: list[Span] = []
        if not wish.again:
            asked = asked_spans(self._bars.between(symbol, *asked_keys(wish.resolution, start - _DAY, end + _DAY)))
        if wish.resolution == ONE_DAY.name and start < sessions.known_from:
            sessions = with_weekdays(sessions, start, calendar.zone)
        return Known(
            symbol, calendar.zone, sessions.sessions, sessions.known_from, sessions.known_to, frozenset(starts), asked
        )

    def _read(self, chunks: Iterable[Chunk]) -> Iterator[FinishedChunk]:
        """Those archived chunks that can be read. One that cannot is asked for again."""
        for chunk in chunks:
            content = self._chunks.get(chunk)
            with suppress(Unreadable):
                if content is not None:
                    yield decode_chunk(content, key_of(chunk))


def bars_in(spans: Iterable[Span], resolution: str) -> int:
    """How many bars of a resolution spans without a break have. A day is one span."""
    if resolution == ONE_DAY.name:
        return sum(1 for _ in spans)
    length = MINUTE * RESOLUTIONS[resolution].minutes
    return sum(-((each.start - each.end) // length) for each in spans)


def _later(stored: Iterable[datetime], missing: Sequence[MissingDay]) -> int:
    first = missing[0].spans[0].start if missing else None
    return 0 if first is None else sum(each > first for each in stored)


def _overlaps(start: datetime, end: datetime, gaps: Iterable[Span]) -> bool:
    return any(each.start < end and each.end > start for each in gaps)
