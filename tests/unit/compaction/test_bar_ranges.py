"""Which bars a run reads."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bars.keys import STORED_RESOLUTIONS
from compaction.bar_ranges import LATE, Range, ranges
from compaction.ports import Backfilled

START = datetime(2026, 11, 2, tzinfo=UTC)
SYMBOLS = ("AAPL", "BTC-USD")
DAYS = st.integers(0, 29)


def day(number: int) -> date:
    return (START + timedelta(days=number)).date()


def chunk(symbol: str, resolution: str, first: int, length: int) -> Backfilled:
    start = START + timedelta(days=first, hours=14)
    end = start + timedelta(days=length, hours=7)
    return Backfilled(key="k", symbol=symbol, resolution=resolution, start=start, end=end, fetched_at=START, actions=())


def has(found: list[Range], symbol: str, resolution: str, minute: datetime) -> bool:
    return any(
        (each.symbol, each.resolution) == (symbol, resolution) and each.start <= minute < each.end for each in found
    )


CHUNKS = st.lists(
    st.builds(chunk, st.sampled_from((*SYMBOLS, "GONE")), st.sampled_from(STORED_RESOLUTIONS), DAYS, st.integers(0, 6)),
    max_size=5,
)


@given(CHUNKS, st.none() | DAYS, DAYS, st.none() | st.lists(DAYS.map(day), min_size=1, max_size=3))
def test_what_may_have_changed_is_read_and_no_open_day(
    chunks: list[Backfilled], read_to: int | None, closed_to: int, wanted: list[date] | None
) -> None:
    found = list(ranges(SYMBOLS, chunks, None if read_to is None else day(read_to), day(closed_to), wanted))

    end = START + timedelta(days=closed_to)
    assert all(each.start < each.end <= end for each in found)
    if wanted is None:  # days that were not closed before, and those in which a bar may have come late
        since = -99 if read_to is None else read_to - LATE.days
        for number in range(max(since, -5), closed_to):
            noon = START + timedelta(days=number, hours=12)
            assert all(has(found, symbol, resolution, noon) for symbol in SYMBOLS for resolution in STORED_RESOLUTIONS)
    for asked in wanted or ():
        noon = datetime(asked.year, asked.month, asked.day, 12, tzinfo=UTC)
        if noon < end:  # the rebuild of a day changes the indicators of all later minutes
            assert all(has(found, symbol, resolution, noon) for symbol in SYMBOLS for resolution in STORED_RESOLUTIONS)
            assert all(has(found, symbol, "1m", end - timedelta(minutes=1)) for symbol in SYMBOLS)
    for each in chunks:
        if each.start < end:
            assert has(found, each.symbol, each.resolution, each.start)
        if each.resolution == "1m" and each.start < end:  # the indicators of all later minutes may have changed
            assert has(found, each.symbol, "1m", end - timedelta(minutes=1))


def test_a_minute_is_read_once_whatever_was_filled() -> None:
    chunks = [chunk("AAPL", "1m", first, 4) for first in (0, 7, 14)]
    found = list(ranges(SYMBOLS, chunks, day(20), day(21), None))
    assert [each for each in found if (each.symbol, each.resolution) == ("AAPL", "1m")] == [
        Range("AAPL", "1m", chunks[0].start, START + timedelta(days=21))
    ]
