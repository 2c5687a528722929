"""Where a stored bar comes from. Pure.

A row of the table of bars names it in the attribute `provenance`. The rows of the stream function have no such
attribute. A bar of a rebuild counts more than one of the stream, and one of the stream more than one of a backfill.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ATTRIBUTE = "provenance"
STREAM = "stream"
"""The stream function made it of quotes as they arrived."""
BACKFILL = "backfill"
"""It is a bar of the source's history."""
REBUILD = "rebuild"
"""It was made anew of the archived quotes, and corrects or replaces another bar."""
REPLACES = "replaces"
"""The attribute of a bar of a backfill that may replace one of the stream, because a person asked for that."""
BEST_FIRST = (REBUILD, STREAM, BACKFILL)
"""All of them. Each counts more than those after it."""


def provenance_of(row: Mapping[str, Any]) -> str:
    """The provenance of a row of the table of bars."""
    return str(row.get(ATTRIBUTE, STREAM))


def rank_of(row: Mapping[str, Any]) -> int:
    """How little a row counts beside others of its minute: 0 for the most. Of two with one rank, the later counts."""
    provenance = STREAM if row.get(REPLACES) == STREAM else provenance_of(row)
    return BEST_FIRST.index(provenance)


def least(first: str, second: str) -> str:
    """The one of two that counts less."""
    return max(first, second, key=BEST_FIRST.index)
