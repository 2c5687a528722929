"""Decides where stored bars of 5 minutes, an hour or a day take the place of finer ones. Pure.

A coarser bar comes from a backfill and is whole: it has everything that was traded in its time. The finer bars of that
time may be incomplete, for instance on the day on which watching began, or on the one whose minutes are expiring. So:

- Where the finer bars are complete, they count, and the coarser bar does not. They are complete if each expected minute
  of that time is in one of them or is known to be without trades. Expected are the minutes of the sessions. Where no
  sessions are known, every minute is.
- Elsewhere, the coarser bar counts, and the finer ones in its time do not.

Provenance decides which row is stored at a key, and not which of the stored rows count here. So complete minutes always
count, whoever made them. If some are missing, the others do not add up to the whole time, even if a rebuild made them.
The coarser bar then counts. The finer ones stay in the table, and in answers about finer resolutions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bars.resolutions import ONE_MINUTE, Bar, Resolution, Span, span_of


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

    def minutes(self, zone: ZoneInfo) -> Iterable[datetime]:
        """The minutes of that time."""
        return (self.bar.start,) if self.resolution is ONE_MINUTE else self.span(zone).minutes()


IsComplete = Callable[[Span, Collection[datetime]], bool]
"""Whether these minutes, which have bars, are all that are expected in a span of time."""


def layered(
    finer: Iterator[Piece], coarser: Iterable[Piece], is_complete: IsComplete, zone: ZoneInfo, *, newest_first: bool
) -> Iterator[Piece]:
    """The coarser pieces whose time has incomplete finer ones, and the finer pieces in the time of none of these.

    All are in the same order of time. A coarser piece is judged by all finer pieces that begin in its time. So the
    result does not depend on the order, even where coarser pieces overlap.
    """
    held: deque[Piece] = deque()
    """Finer pieces that begin in the time of the present coarser piece."""
    hidden: set[datetime] = set()
    """The starts of those that give way."""
    ahead = next(finer, None)
    for piece in coarser:
        span = piece.span(zone)
        while True:
            while held and not span.start <= held[0].bar.start < span.end:
                if (first := held.popleft()).bar.start not in hidden:
                    yield first
            if ahead is None or (ahead.bar.start < span.start if newest_first else ahead.bar.start >= span.end):
                break
            held.append(ahead)
            ahead = next(finer, None)
        covered = {minute for each in held for minute in each.minutes(zone)}
        if not covered or not is_complete(span, covered):
            hidden.update(each.bar.start for each in held)
            yield piece
    yield from (each for each in held if each.bar.start not in hidden)
    if ahead is not None:
        yield ahead
        yield from finer
