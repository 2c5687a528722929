"""Which bar may replace which."""

from __future__ import annotations

import pytest

from bars.provenance import BACKFILL, REBUILD, STREAM, may_replace, provenance_of


def test_a_row_without_a_provenance_is_of_the_stream() -> None:
    assert provenance_of({"symbol": "AAPL"}) == STREAM
    assert provenance_of({"symbol": "AAPL", "provenance": "backfill"}) == BACKFILL


@pytest.mark.parametrize(
    ("new", "stored", "allowed"),
    [
        (REBUILD, REBUILD, True),
        (REBUILD, STREAM, True),
        (REBUILD, BACKFILL, True),
        (STREAM, REBUILD, False),
        (STREAM, STREAM, True),
        (STREAM, BACKFILL, True),
        (BACKFILL, REBUILD, False),
        (BACKFILL, STREAM, False),
        (BACKFILL, BACKFILL, True),
    ],
)
def test_a_bar_replaces_those_that_count_no_more_than_itself(new: str, stored: str, *, allowed: bool) -> None:
    assert may_replace(new, stored) is allowed
