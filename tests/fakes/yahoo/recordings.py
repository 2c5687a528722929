"""Minutes that a test declares, in place of generated prices: a recording that charts of every resolution show."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from tests.fakes.yahoo.prices import DAY
from tests.fakes.yahoo.sessions import Session
from tests.fakes.yahoo.tapes import Bar

Minute = tuple[int, float, float, float, float, int]
"""The start of a minute, its open, high, low and close, and its volume, as they were traded."""


class Recordings:
    """The declared minutes of each symbol, in the order of time."""

    def __init__(self) -> None:
        self._minutes: dict[str, list[Bar]] = {}

    def declare(self, symbol: str, minutes: Iterable[Minute]) -> None:
        """Declare all minutes of a symbol in which it trades, in place of earlier ones."""
        self._minutes[symbol.upper()] = sorted((Bar(*minute) for minute in minutes), key=lambda bar: bar.start)

    def clear(self) -> None:
        """Declare nothing."""
        self._minutes.clear()

    def bars(
        self, symbol: str, sessions: Iterable[Session], seconds: int, now: float, splits: Mapping[int, Fraction]
    ) -> list[Bar | int] | None:
        """The bars of some sessions up to a time, or None if nothing is declared. An hour begins at the open.

        `splits` are the ratios by their times. As at Yahoo, prices before a split are lower by its ratio, and volumes
        are higher. A time without a minute has no row.
        """
        minutes = self._minutes.get(symbol.upper())
        if minutes is None:
            return None
        adjusted = [_adjusted(bar, splits, now) for bar in minutes if bar.start <= now]
        return [bar for session in sessions for bar in _merged(adjusted, session, seconds)]


def _adjusted(bar: Bar, splits: Mapping[int, Fraction], now: float) -> Bar:
    ratio = Fraction(1)
    for time, each in splits.items():
        if bar.start < time <= now:
            ratio *= each
    if ratio == 1:
        return bar
    first, high, low, close = (float(Fraction(price) / ratio) for price in (bar.open, bar.high, bar.low, bar.close))
    return Bar(bar.start, first, high, low, close, round(bar.volume * ratio))


def _merged(bars: list[Bar], session: Session, seconds: int) -> Iterator[Bar]:
    """The coarser bars of a session, and the bar of the closing auction at its end."""
    by_start: dict[int, list[Bar]] = {}
    for bar in bars:
        if session.start <= bar.start <= session.end:
            number = 0 if seconds >= DAY else (bar.start - session.start) // seconds
            by_start.setdefault(session.start + number * seconds, []).append(bar)
    for start, members in by_start.items():
        yield Bar(
            start,
            members[0].open,
            max(bar.high for bar in members),
            min(bar.low for bar in members),
            members[-1].close,
            sum(bar.volume for bar in members),
        )


def single(price: float) -> float:
    """A price in single precision, as charts print it: 19.99 is 19.989999771118164."""
    (rounded,) = struct.unpack("f", struct.pack("f", price))
    return float(rounded)


def ratios(splits: Any) -> dict[int, Fraction]:
    """The ratios of declared splits by their times. Those that are none are left out."""
    found = {}
    for split in splits.values() if isinstance(splits, dict) else ():
        match split:
            case {"date": int(date), "numerator": int(new), "denominator": int(old)} if new and old:
                found[date] = Fraction(new, old)
    return found
