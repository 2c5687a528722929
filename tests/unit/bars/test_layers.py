"""Where stored bars of a coarser resolution take the place of finer ones, by definition."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from bars.layers import Piece, layered
from bars.resolutions import MINUTE, ONE_MINUTE, RESOLUTIONS, Bar, Resolution, Span

ZONE = ZoneInfo("America/New_York")
FIRST = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
FIVE_MINUTES, ONE_HOUR = RESOLUTIONS["5m"], RESOLUTIONS["1h"]
MINUTES = st.sets(st.integers(0, 130))


def pieces(numbers: Collection[int], resolution: Resolution, *, newest_first: bool) -> list[Piece]:
    """Pieces that begin so many minutes after the first one."""
    price = Decimal(1)
    starts = sorted((FIRST + number * MINUTE for number in numbers), reverse=newest_first)
    return [Piece(Bar(start, price, price, price, price, 1, 1), resolution) for start in starts]


@given(
    newest_first=st.booleans(),
    minutes=MINUTES,
    fives=st.sets(st.integers(0, 26)),
    hours=st.sets(st.integers(0, 26)),  # these may overlap
    expected=MINUTES,
)
def test_finer_bars_count_exactly_where_no_expected_minute_is_missing(
    *, newest_first: bool, minutes: set[int], fives: set[int], hours: set[int], expected: set[int]
) -> None:
    wanted = {FIRST + number * MINUTE for number in expected}

    def is_complete(span: Span, covered: Collection[datetime]) -> bool:
        return all(minute in covered for minute in wanted if span.start <= minute < span.end)

    starts = {
        ONE_MINUTE: minutes,
        FIVE_MINUTES: {5 * number for number in fives},
        ONE_HOUR: {5 * number for number in hours},
    }
    found = iter(pieces(minutes, ONE_MINUTE, newest_first=newest_first))
    kept = {(number, 1) for number in minutes}
    for resolution in (FIVE_MINUTES, ONE_HOUR):
        coarser = pieces(starts[resolution], resolution, newest_first=newest_first)
        found = layered(found, coarser, is_complete, ZONE, newest_first=newest_first)
        length = resolution.minutes
        counting = set()
        for start in starts[resolution]:
            inside = [(other, of) for other, of in kept if start <= other < start + length]
            covered = {minute for other, of in inside for minute in range(other, other + of)}
            if not inside or {number for number in expected if start <= number < start + length} - covered:
                counting.add((start, length))
        kept = {each for each in kept if not any(0 <= each[0] - start < length for start, _ in counting)} | counting
    order = [((piece.bar.start - FIRST) // MINUTE, piece.resolution.minutes) for piece in found]
    assert order == sorted(kept, reverse=newest_first)


def test_no_more_is_read_than_the_pieces_that_are_taken_need() -> None:
    taken: list[Piece] = []

    def finer() -> Iterator[Piece]:
        for piece in pieces(range(10_000), ONE_MINUTE, newest_first=False):
            taken.append(piece)
            yield piece

    late = pieces([9_000], ONE_HOUR, newest_first=False)
    found = layered(finer(), late, lambda *_: True, ZONE, newest_first=False)
    assert next(found) == taken[0]
    assert len(taken) <= 2
