"""The clock of a recording: which moment each time in a file of bars stands for. Pure.

A time with an offset, or in seconds or milliseconds since 1970, stands for one moment. A time without an offset is on
the clock of a time zone. When that clock goes back, it shows an hour twice, and when it goes forward, it skips one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

YEARS = range(1971, 2200)
"""The years that a quote may hold, in any time zone."""

Moments = tuple[datetime, ...]
"""The moments in UTC that a time may stand for, in order: one, or two if the clock shows the time twice."""

_SINCE_1970 = re.compile(r"\d{10}(?:\d{3})?", re.ASCII)
"""Seconds or milliseconds since 1970, from 2001 on. Fewer digits are refused, because they may be a date."""


class Clock(msgspec.Struct, frozen=True):
    """How the bars of a recording name their minutes."""

    zone: ZoneInfo = ZoneInfo("America/New_York")
    """The zone of times without an offset. A new trading day begins at midnight in this zone."""
    stamp: Literal["start", "end"] = "end"
    """Whether the time of a bar is the start or the end of its minute."""


DEFAULT_CLOCK = Clock()


def moments_of(text: str, zone: ZoneInfo) -> Moments:
    """The moments that a time may stand for. Raises ValueError, which says what is wrong with it."""
    if _SINCE_1970.fullmatch(text):
        moments: Moments = (datetime.fromtimestamp(int(text[:10]), UTC),)
        milliseconds = int(text[10:] or 0)
    else:
        time = _parsed(text)
        moments = (time.astimezone(UTC),) if time.tzinfo else _moments_on_the_clock(text, time, zone)
        milliseconds = 0
    if milliseconds or any(moment.second or moment.microsecond for moment in moments):
        raise ValueError(f"{text!r} is not on a whole minute")
    if not all(moment.year in YEARS for moment in moments):
        raise ValueError(f"{text!r} is not between {YEARS.start} and {YEARS.stop - 1}")
    return moments


def choose_by_order(rows: Sequence[Moments]) -> list[datetime | None]:
    """The moment of each row, where rows are in order of time, the first or the last one first.

    A moment is None if the order leaves the choice open, or if the rows are not in order.
    """
    backwards = rows[::-1]
    # The earliest choice for every row, and the latest one. Where they agree, there is no other.
    choices = [_in_order(rows, ascending=True), _in_order(rows, ascending=False)]
    choices += [
        None if choice is None else choice[::-1]
        for choice in (_in_order(backwards, ascending=True), _in_order(backwards, ascending=False))
    ]
    possible = [choice for choice in choices if choice is not None]
    if not possible:
        return [moments[0] if len(moments) == 1 else None for moments in rows]
    return [each[0] if len(set(each)) == 1 else None for each in zip(*possible, strict=True)]


def _in_order(rows: Iterable[Moments], *, ascending: bool) -> list[datetime] | None:
    """The first moment of each row that is in order after the row before. None if a row has no such moment."""
    chosen: list[datetime] = []
    for moments in rows:
        for moment in moments if ascending else moments[::-1]:
            last = chosen[-1] if chosen else None
            if last is None or (last < moment if ascending else moment < last) or moments == (last,):
                chosen.append(moment)
                break
        else:
            return None
    return chosen


def _parsed(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or ":" not in text:  # a date alone would be a daily bar
        raise ValueError(f"{text!r} is not a time like 2019-02-15 16:00:00, 2019-02-15T21:00:00Z or 1550264400")
    if time.year not in YEARS:  # before it is converted, which could overflow
        raise ValueError(f"{text!r} is not between {YEARS.start} and {YEARS.stop - 1}")
    return time


def _moments_on_the_clock(text: str, time: datetime, zone: ZoneInfo) -> Moments:
    first, second = (time.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first > second:
        raise ValueError(f"{text!r} does not exist in {zone}, whose clock skips it")
    return (first,) if first == second else (first, second)
