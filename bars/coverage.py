"""Which minutes of sessions have no bar. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

MINUTE = timedelta(minutes=1)


class Gap(NamedTuple):
    """Minutes in a row without a bar, from `start` to just before `end`."""

    start: datetime
    end: datetime
    minutes: int


class Coverage(NamedTuple):
    """How many minutes of sessions there are, how many have a bar, and which have none."""

    expected: int
    stored: int
    gaps: list[Gap]


def coverage_of(sessions: Iterable[tuple[datetime, datetime]], stored: Collection[datetime]) -> Coverage:
    """Compare sessions, each from a moment to just before another, with the starts of the minutes that have a bar.

    A gap ends with its session. Sessions are in order and do not overlap.
    """
    expected = found = 0
    gaps: list[Gap] = []
    for opens, closes in sessions:
        minute = opens if opens == _whole(opens) else _whole(opens) + MINUTE
        since: datetime | None = None
        while minute < closes:
            expected += 1
            if minute in stored:
                found += 1
                if since is not None:
                    gaps.append(_gap(since, minute))
                    since = None
            elif since is None:
                since = minute
            minute += MINUTE
        if since is not None:
            gaps.append(_gap(since, minute))
    return Coverage(expected, found, gaps)


def _whole(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _gap(start: datetime, end: datetime) -> Gap:
    return Gap(start, end, (end - start) // MINUTE)
