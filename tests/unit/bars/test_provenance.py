"""Where a bar comes from."""

from __future__ import annotations

import pytest

from bars.provenance import BACKFILL, REBUILD, STREAM, least, provenance_of


def test_a_row_without_a_provenance_is_of_the_stream() -> None:
    assert provenance_of({"symbol": "AAPL"}) == STREAM
    assert provenance_of({"symbol": "AAPL", "provenance": "backfill"}) == BACKFILL


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (REBUILD, REBUILD, REBUILD),
        (REBUILD, STREAM, STREAM),
        (REBUILD, BACKFILL, BACKFILL),
        (STREAM, BACKFILL, BACKFILL),
    ],
)
def test_a_backfilled_bar_counts_least_and_a_rebuilt_one_most(one: str, other: str, expected: str) -> None:
    assert least(one, other) == least(other, one) == expected
