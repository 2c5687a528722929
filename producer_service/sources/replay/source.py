"""Recorded quotes as a source, at any speed."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog
from msgspec.structs import replace

from producer_service.errors import ConfigurationError
from producer_service.sources import FetchResult, RecordedSpan, Rejected, SourceTraits
from producer_service.sources.replay.bars import MINUTE, Moment, moments
from producer_service.sources.replay.clock import DEFAULT_CLOCK, Clock
from producer_service.sources.replay.recordings import Recording, load
from quotes import MAX_CLOCK_SKEW, Invalid, Quote, whole_milliseconds

SOURCE = "replay"
MAX_QUOTES = 2000
"""The most quotes of one fetch. If more are due, the result says so in `more`."""

Event = tuple[datetime, str, Moment | Quote]
"""Event time, symbol, and what the quote says."""

log = structlog.get_logger(__name__)


class ReplaySource:
    """Plays minute bars and archived quotes in order of time, and at the same time in order of their symbols.

    `path` is a file or a directory. If `symbols` is not empty, only these are played. `speed` is a multiple of real
    time: the recording starts at its first moment when it is first fetched. With speed 0, everything is due at once.
    `clock` says how bars name their minutes. Each tuple of symbols has a playback of its own, so watch groups do not
    take each other's quotes. Raises `ConfigurationError` with every mistake of the recordings.
    """

    traits: SourceTraits
    symbols: tuple[str, ...]
    skipped_lines: int
    """The number of JSON Lines that were not valid."""

    def __init__(
        self, path: Path, *, symbols: Sequence[str] = (), speed: float = 0, clock: Clock = DEFAULT_CLOCK
    ) -> None:
        found = load(path, symbols, clock)
        if not 0 <= speed < math.inf:
            found.mistakes.append(f"{speed} is not a speed; it is a multiple of real time, or 0")
        if found.mistakes:
            raise ConfigurationError(found.mistakes)
        self.symbols = tuple(sorted(found.by_symbol))
        self.skipped_lines = found.skipped_lines
        if found.skipped_lines:
            log.warning("recorded_lines_skipped", lines=found.skipped_lines, first=found.first_skipped)
        self._recordings = found.by_symbol
        self._zone = clock.zone
        self._speed = speed
        self._first = min(recording.first for recording in found.by_symbol.values())
        self._last = max(recording.last for recording in found.by_symbol.values())
        years = range(self._first.year, self._last.year + 1)
        self.traits = SourceTraits(is_live=False, recorded=RecordedSpan(clock.zone.key, tuple(years)))
        self._anchor: datetime | None = None
        self._playbacks: dict[tuple[str, ...], _Playback] = {}

    def fetch(self, symbols: Sequence[str], now: datetime) -> FetchResult:
        """Return the quotes that are due, at most `MAX_QUOTES`, with `now` as their ingest time and with revision 0.

        `complete_to` is a time of the recording. At the end, it is the end of the last quote's minute, so that the last
        bars close. A quote with an event time in the future is rejected.
        """
        playback = self._playbacks.get(tuple(symbols))
        if playback is None:
            playback = self._playbacks[tuple(symbols)] = _Playback(self._recordings, symbols, self._zone)
        until = self._due_until(now)
        events = playback.take(until, MAX_QUOTES)
        received = whole_milliseconds(now)
        quotes: list[Quote] = []
        rejected: list[Rejected] = []
        for _, symbol, content in events:
            try:
                quotes.append(_quote(symbol, content, received))
            except Invalid as error:
                rejected.append(Rejected(symbol, str(error)))
        complete_to = playback.complete_to(until)
        return FetchResult(
            quotes=tuple(quotes),
            rejected=tuple(rejected),
            missing=tuple(symbol for symbol in symbols if symbol not in self._recordings),
            # A heartbeat must not be later than this. Quotes of the future are rejected, so none is missed.
            complete_to=None if complete_to is None else min(complete_to, received + MAX_CLOCK_SKEW),
            more=playback.has_due(until),
            ended=playback.ended,
        )

    def _due_until(self, now: datetime) -> datetime:
        """The time of the recording up to which quotes are due."""
        if not self._speed:
            return self._last
        self._anchor = self._anchor or now
        elapsed = (now - self._anchor).total_seconds() * self._speed
        if elapsed >= (self._last - self._first).total_seconds():
            return self._last
        return whole_milliseconds(self._first + timedelta(seconds=elapsed))

    def close(self) -> None:
        """There is nothing to release."""


class _Playback:
    """The merged events of some symbols, and how far they have been played."""

    def __init__(self, recordings: Mapping[str, Recording], symbols: Sequence[str], zone: ZoneInfo) -> None:
        known = sorted(recordings.keys() & set(symbols))
        streams = (stream for symbol in known for stream in _streams(symbol, recordings[symbol], zone))
        self._events = heapq.merge(*streams, key=itemgetter(0, 1))
        self._next = next(self._events, None)
        self._reached: datetime | None = None

    @property
    def ended(self) -> bool:
        return self._next is None

    def has_due(self, until: datetime) -> bool:
        return self._next is not None and self._next[0] <= until

    def take(self, until: datetime, most: int) -> list[Event]:
        """The next events up to and including a time, at most `most`."""
        taken: list[Event] = []
        while self._next is not None and self._next[0] <= until and len(taken) < most:
            taken.append(self._next)
            self._reached = self._next[0]
            self._next = next(self._events, None)
        return taken

    def complete_to(self, until: datetime) -> datetime | None:
        """The time up to which all events have been taken; None if there are no events at all."""
        if self.ended:
            return None if self._reached is None else self._reached.replace(second=0, microsecond=0) + MINUTE
        return self._reached if self.has_due(until) else until


def _streams(symbol: str, recording: Recording, zone: ZoneInfo) -> Iterator[Iterator[Event]]:
    yield ((moment.event_time, symbol, moment) for moment in moments(recording.bars, zone))
    yield ((quote.event_time, symbol, quote) for quote in recording.quotes)


def _quote(symbol: str, content: Moment | Quote, received: datetime) -> Quote:
    if isinstance(content, Quote):
        return replace(content, source=SOURCE, ingest_time=received, revision=0)
    return Quote(
        symbol=symbol,
        event_time=content.event_time,
        price=content.price,
        source=SOURCE,
        ingest_time=received,
        open=content.open,
        high=content.high,
        low=content.low,
        previous_close=content.previous_close,
        volume=content.volume,
    )
