"""Which minutes of sessions have a bar, and of which provenance. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple

import msgspec

from bars.resolutions import MINUTE, Span
from bars.sessions import Session
from quotes import to_iso

WITHOUT_TRADES = "without_trades"
"""The attribute of an item with a key of `bars.keys.asked_key`: minutes for which the source has no bar."""
LONGEST_DAY = timedelta(days=2)
"""An exchange's day begins and ends within so much time before and after each of its moments."""

_decode_spans = msgspec.json.Decoder(list[tuple[datetime, datetime]]).decode


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


class DayCoverage(NamedTuple):
    """The minutes of one day of an exchange. Each expected minute is stored, without trades, or missing."""

    day: str
    opens: datetime
    """When its first session opens."""
    closes: datetime
    """When its last session closes."""
    expected: int
    stored: Mapping[str, int]
    """How many have a bar, by provenance."""
    without_trades: int
    """How many have no bar, and the source has none either."""
    missing: int
    gaps: list[Gap]
    """The missing minutes."""


def coverage_of(sessions: Iterable[tuple[datetime, datetime]], stored: Collection[datetime]) -> Coverage:
    """Compare sessions, each from a moment to just before another, with the starts of the minutes that have a bar.

    A gap ends with its session. Sessions are in order and do not overlap.
    """
    expected = found = 0
    gaps: list[Gap] = []
    for opens, closes in sessions:
        since: datetime | None = None
        for minute in Span(opens, closes).minutes():
            expected += 1
            if minute in stored:
                found += 1
                if since is not None:
                    gaps.append(_gap(since, minute))
                    since = None
            elif since is None:
                since = minute
        if since is not None:
            gaps.append(_gap(since, minute + MINUTE))
    return Coverage(expected, found, gaps)


def coverage_of_days(
    sessions: Iterable[Session],
    stored: Mapping[datetime, str],
    without_trades: Iterable[Span] = (),
    *,
    before: datetime | None = None,
) -> list[DayCoverage]:
    """The coverage of each day of an exchange that has a session.

    `sessions` are in order and have whole days. `stored` has the provenance of each minute that has a bar. Minutes from
    `before` on are not expected yet, and days that begin then are left out.
    """
    asked = {minute for span in without_trades for minute in span.minutes()}
    days: list[DayCoverage] = []
    for day, members in groupby(sessions, key=lambda each: each.day):
        whole = [Span(each.opens, each.closes) for each in members]
        spans = whole if before is None else [Span(each.start, min(each.end, before)) for each in whole]
        minutes = [minute for span in spans for minute in span.minutes()]
        if not minutes:
            continue
        counts = Counter(stored[minute] for minute in minutes if minute in stored)
        quiet = {minute for minute in minutes if minute in asked and minute not in stored}
        found = coverage_of(spans, stored.keys() | quiet)
        missing = found.expected - found.stored
        days.append(
            DayCoverage(
                day, whole[0].start, whole[-1].end, found.expected, dict(counts), len(quiet), missing, found.gaps
            )
        )
    return days


def spans_text(spans: Iterable[Span]) -> str:
    """Spans of time as the text of the attribute `without_trades`."""
    return msgspec.json.encode([[to_iso(start), to_iso(end)] for start, end in spans]).decode()


def spans_of(text: str) -> list[Span]:
    """The spans of time in such a text."""
    return [Span(start, end) for start, end in _decode_spans(text)]


def _gap(start: datetime, end: datetime) -> Gap:
    return Gap(start, end, (end - start) // MINUTE)
