"""Fills times without finer bars with coarser ones. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bars.resolutions import Bar, Resolution, Span, span_of


class Piece(NamedTuple):
    """A bar, and what it was stored as."""

    bar: Bar
    resolution: Resolution

    def span(self, zone: ZoneInfo) -> Span:
        """Its own time. A source's bars of an hour may begin at the open of a session, such as half past nine."""
        start = self.bar.start
        if self.resolution.is_day:
            return span_of(start, self.resolution, zone)
        return Span(start, start + timedelta(minutes=self.resolution.minutes))


def filled(finer: Iterator[Piece], coarser: Iterable[Piece], zone: ZoneInfo, *, newest_first: bool) -> Iterator[Piece]:
    """The finer pieces, and each coarser one in whose time no finer one begins. All are in the same order of time.

    So a time with any finer bar is left to the finer ones, even if some of them are missing.
    """
    ahead = next(finer, None)
    last: datetime | None = None
    """The start of the last finer piece."""
    for piece in coarser:
        start, end = piece.span(zone)
        while ahead is not None and (ahead.bar.start >= start if newest_first else ahead.bar.start < start):
            last = ahead.bar.start
            yield ahead
            ahead = next(finer, None)
        nearest = last if newest_first else None if ahead is None else ahead.bar.start
        if nearest is None or nearest >= end:
            yield piece
    if ahead is not None:
        yield ahead
        yield from finer
