"""Which bars a run reads: those of days that it closes, and those that a backfill has filled since the last run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from compaction.arrivals import ONE_DAY
from compaction.ports import Backfilled

RESOLUTIONS = ("1m", "5m", "1h", "1d")
OVERLAP = timedelta(days=1)
"""How much before the last run a chunk is read again: it may have been stored after the run had looked."""
_FIRST = date(1970, 1, 1)


class Range(NamedTuple):
    """Bars of a symbol and resolution that start in a range of time."""

    symbol: str
    resolution: str
    start: datetime
    end: datetime


def ranges(
    symbols: Sequence[str],
    chunks: Iterable[Backfilled],
    read_to: date | None,
    closed_to: date,
    wanted: Sequence[date] | None,
) -> Iterator[Range]:
    """The bars that may differ from the compacted ones. Those of days before `read_to` were read by earlier runs.

    With `wanted` days, only these are read. A rebuild changes bars of closed days, and is followed by such a run.
    """
    end = _midnight(closed_to)
    days = [(read_to or _FIRST, closed_to)] if wanted is None else [(day, day + ONE_DAY) for day in wanted]
    for symbol in symbols:
        for resolution in RESOLUTIONS:
            for first, last in days:
                if _midnight(first) < min(_midnight(last), end):
                    yield Range(symbol, resolution, _midnight(first), min(_midnight(last), end))
    for chunk in chunks:
        if chunk.start < min(chunk.end, end):
            yield Range(chunk.symbol, chunk.resolution, chunk.start, min(chunk.end, end))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
