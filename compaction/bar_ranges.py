"""Which bars a run reads: those of days that it closes, and those that may have changed since the last run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from bars.keys import ONE_MINUTE, STORED_RESOLUTIONS
from compaction.arrivals import ONE_DAY
from compaction.ports import Backfilled

OVERLAP = timedelta(days=1)
"""How much before the last run a chunk is read again: it may have been stored after the run had looked."""
LATE = timedelta(days=2)
"""The bars of so many days before the last run are read again. A stream function that is behind stores a bar late, by
up to a day unless the stream keeps its packets for longer."""
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

    With `wanted` days, only the bars of these and of the chunks are read. A rebuild changes bars of closed days, and is
    followed by such a run. What changes a minute changes the indicators of those after it, so all of these are read.
    """
    end = _midnight(closed_to)
    found: list[Range] = []
    starts: dict[tuple[str, str], datetime] = {}
    """From where on all bars up to `end` are read."""
    first = (_FIRST if read_to is None else read_to - LATE) if wanted is None else min(wanted)
    for kind in ((symbol, resolution) for symbol in symbols for resolution in STORED_RESOLUTIONS):
        if wanted is None or kind[1] == ONE_MINUTE:
            starts[kind] = _midnight(first)
        else:
            found += [Range(*kind, _midnight(day), _midnight(day + ONE_DAY)) for day in wanted]
    for chunk in chunks:
        kind = chunk.symbol, chunk.resolution
        if chunk.resolution == ONE_MINUTE:
            starts[kind] = min(starts.get(kind, end), chunk.start)
        else:
            found.append(Range(*kind, chunk.start, chunk.end))
    for each in (*found, *(Range(*kind, start, end) for kind, start in starts.items())):
        if each.start < min(each.end, end):
            yield each._replace(end=min(each.end, end))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
