"""Coarser bars: which minutes make a bar, and what it says of them. Pure.

Bars of 5 minutes to 1 hour begin at full multiples on the clock of the exchange, and bars of a day at its midnight. So
a day on which the clock changes has 23 or 25 hours, and a session that crosses midnight is in the bars of two days.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from bars.provenance import STREAM, least

MINUTE = timedelta(minutes=1)
_DAY_MINUTES = 1_440


class Resolution(NamedTuple):
    """The length of a bar."""

    name: str
    minutes: int
    """The length, as the clock of the exchange shows it."""

    @property
    def is_day(self) -> bool:
        """Whether bars begin at midnight."""
        return self.minutes == _DAY_MINUTES


ONE_MINUTE = Resolution("1m", 1)
ONE_HOUR = Resolution("1h", 60)
ONE_DAY = Resolution("1d", _DAY_MINUTES)
RESOLUTIONS = {each.name: each for each in (ONE_MINUTE, Resolution("5m", 5), Resolution("15m", 15), ONE_HOUR, ONE_DAY)}
"""All resolutions, by name."""


class Bar(msgspec.Struct, frozen=True, gc=False):
    """What is known of the prices of some time. Prices have the digits that are stored."""

    start: datetime
    """The first moment of that time, aware UTC."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int | None
    """None if no minute has a volume."""
    quotes: int
    """How many quotes it was made from. None of a backfilled bar."""
    provenance: str = STREAM
    """That of the bar it was made of which counts least."""


class Span(NamedTuple):
    """A time, such as that of a bar: from `start` to just before `end`. Aware UTC."""

    start: datetime
    end: datetime

    def minutes(self) -> Iterator[datetime]:
        """The whole minutes that begin in it, in order."""
        minute = self.start.replace(second=0, microsecond=0)
        if minute < self.start:
            minute += MINUTE
        while minute < self.end:
            yield minute
            minute += MINUTE


def span_of(moment: datetime, resolution: Resolution, zone: ZoneInfo) -> Span:
    """The time of the bar that a moment falls into."""
    if resolution is ONE_MINUTE:
        start = moment.replace(second=0, microsecond=0)
        return Span(start, start + MINUTE)
    local = moment.astimezone(zone)
    if resolution.is_day:
        return Span(midnight(local.date(), zone), midnight(local.date() + timedelta(days=1), zone))
    past = timedelta(minutes=local.minute % resolution.minutes, seconds=local.second, microseconds=local.microsecond)
    return Span(moment - past, moment - past + timedelta(minutes=resolution.minutes))


def first_start(moment: datetime, resolution: Resolution, zone: ZoneInfo) -> datetime:
    """The start of the first bar that does not begin before a moment."""
    span = span_of(moment, resolution, zone)
    return span.start if span.start == moment else span.end


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a day. Where the clock skips midnight, it is the moment of the change."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def merged(bars: Iterable[Bar], start: datetime | None = None) -> Bar:
    """One bar of some, which are in order of time. It begins with the first of them, unless another start is named."""
    first, *others = bars
    high, low, close, volume, quotes = first.high, first.low, first.close, first.volume, first.quotes
    provenance = first.provenance
    for bar in others:
        high, low, close, quotes = max(high, bar.high), min(low, bar.low), bar.close, quotes + bar.quotes
        if bar.volume is not None:
            volume = bar.volume + (volume or 0)
        if bar.provenance != provenance:
            provenance = least(provenance, bar.provenance)
    return Bar(start or first.start, first.open, high, low, close, volume, quotes, provenance)


def aggregated(bars: Iterable[Bar], resolution: Resolution, zone: ZoneInfo) -> Iterator[Bar]:
    """The coarser bars of some finer ones, which are in order of time. Where there were none, there is none."""
    span: Span | None = None
    members: list[Bar] = []
    for bar in bars:
        if span is None or not span.start <= bar.start < span.end:
            if span is not None:
                yield merged(members, span.start)
            span, members = span_of(bar.start, resolution, zone), []
        members.append(bar)
    if span is not None:
        yield merged(members, span.start)
