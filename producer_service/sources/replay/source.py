"""Recorded quotes as a source, at any speed."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from pathlib import Path

import structlog
from msgspec.structs import replace

from producer_service.errors import ConfigurationError
from producer_service.sources import FetchResult, Rejected, SourceTraits
from producer_service.sources.replay.bars import MINUTE, Moment, moments
from producer_service.sources.replay.recordings import Recording, load
from quotes import MAX_CLOCK_SKEW, Invalid, Quote, whole_milliseconds

SOURCE = "replay"
MAX_QUOTES = 2000
"""Of one fetch; what is due beyond them is `more`."""

Event = tuple[datetime, str, Moment | Quote]

log = structlog.get_logger(__name__)


class ReplaySource:
    """Plays minute bars and archived quotes, merged by time; at one time, symbols in the order of their names.

    `path` is a file or a directory, `symbols` (none: all) narrows what is read of it. `speed` is times real time, from
    the first fetch on and from the first recorded moment; 0 is as fast as it is fetched. Each tuple of symbols that
    is fetched is played on its own, so watch groups do not take each other's quotes. Raises `ConfigurationError` with
    every mistake of the recordings.
    """

    traits = SourceTraits(is_live=False)
    symbols: tuple[str, ...]
    skipped_lines: int
    """JSON Lines that were no quote."""

    def __init__(self, path: Path, *, symbols: Sequence[str] = (), speed: float = 0) -> None:
        found = load(path, symbols)
        if not 0 <= speed < math.inf:
            found.mistakes.append(f"{speed} is not a speed: times real time, or 0")
        if found.mistakes:
            raise ConfigurationError(found.mistakes)
        self.symbols = tuple(sorted(found.by_symbol))
        self.skipped_lines = found.skipped_lines
        if found.skipped_lines:
            log.warning("recorded_lines_skipped", lines=found.skipped_lines, first=found.first_skipped)
        self._recordings = found.by_symbol
        self._speed = speed
        self._first = min(recording.first for recording in found.by_symbol.values())
        self._last = max(recording.last for recording in found.by_symbol.values())
        self._anchor: datetime | None = None
        self._playbacks: dict[tuple[str, ...], _Playback] = {}

    def fetch(self, symbols: Sequence[str], now: datetime) -> FetchResult:
        """The quotes that are due, at most `MAX_QUOTES`, as if received now; their revision is the producer's to find.

        `complete_to` is in the recording's time. At the end it is the end of the last quote's minute, so that the last
        bars close. A quote that was recorded in what is now the future is rejected.
        """
        playback = self._playbacks.get(tuple(symbols))
        if playback is None:
            playback = self._playbacks[tuple(symbols)] = _Playback(self._recordings, symbols)
        due = self._due(now)
        events = playback.take(due, MAX_QUOTES)
        received = whole_milliseconds(now)
        quotes: list[Quote] = []
        rejected: list[Rejected] = []
        for _, symbol, said in events:
            try:
                quotes.append(_quote(symbol, said, received))
            except Invalid as error:
                rejected.append(Rejected(symbol, str(error)))
        complete_to = playback.complete_to(due)
        return FetchResult(
            quotes=tuple(quotes),
            rejected=tuple(rejected),
            missing=tuple(symbol for symbol in symbols if symbol not in self._recordings),
            # A heartbeat may not claim more than this. Recordings of the future are rejected, so nothing is lost by it.
            complete_to=None if complete_to is None else min(complete_to, received + MAX_CLOCK_SKEW),
            more=playback.has_due(due),
            ended=playback.ended,
        )

    def _due(self, now: datetime) -> datetime:
        """Up to when, in the recording's time, quotes are due."""
        if not self._speed:
            return self._last
        self._anchor = self._anchor or now
        elapsed = (now - self._anchor).total_seconds() * self._speed
        if elapsed >= (self._last - self._first).total_seconds():
            return self._last
        return whole_milliseconds(self._first + timedelta(seconds=elapsed))

    def close(self) -> None:
        """Nothing to give back."""


class _Playback:
    """Some symbols' events, merged, and how far they were taken."""

    def __init__(self, recordings: Mapping[str, Recording], symbols: Sequence[str]) -> None:
        known = sorted(recordings.keys() & set(symbols))
        streams = (stream for symbol in known for stream in _streams(symbol, recordings[symbol]))
        self._events = heapq.merge(*streams, key=itemgetter(0, 1))
        self._next = next(self._events, None)
        self._reached: datetime | None = None

    @property
    def ended(self) -> bool:
        return self._next is None

    def has_due(self, due: datetime) -> bool:
        return self._next is not None and self._next[0] <= due

    def take(self, due: datetime, most: int) -> list[Event]:
        """The next events up to and including a time; not more than `most`."""
        taken: list[Event] = []
        while self._next is not None and self._next[0] <= due and len(taken) < most:
            taken.append(self._next)
            self._reached = self._next[0]
            self._next = next(self._events, None)
        return taken

    def complete_to(self, due: datetime) -> datetime | None:
        """Every event before it was taken; None if there was never one."""
        if self.ended:
            return None if self._reached is None else self._reached.replace(second=0, microsecond=0) + MINUTE
        return self._reached if self.has_due(due) else due


def _streams(symbol: str, recording: Recording) -> Iterator[Iterator[Event]]:
    yield ((moment.event_time, symbol, moment) for moment in moments(recording.bars))
    yield ((quote.event_time, symbol, quote) for quote in recording.quotes)


def _quote(symbol: str, said: Moment | Quote, received: datetime) -> Quote:
    if isinstance(said, Quote):
        return replace(said, source=SOURCE, ingest_time=received, revision=0)
    return Quote(
        symbol=symbol,
        event_time=said.event_time,
        price=said.price,
        source=SOURCE,
        ingest_time=received,
        open=said.open,
        high=said.high,
        low=said.low,
        previous_close=said.previous_close,
        volume=said.volume,
    )
