"""Rows of the table of bars."""

from __future__ import annotations

from bars.provenance import ATTRIBUTE
from processor_lambda.rows import Row


def without_provenance(row: Row) -> Row:
    """What a row says, whoever wrote it."""
    return {name: value for name, value in row.items() if name != ATTRIBUTE}
