"""The result of a statement, as a value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

Row = tuple[Any, ...]
"""Values are Decimal, datetime (UTC, naive), date, int, float, str, bool, list, dict or None."""


class OpenResult(msgspec.Struct, frozen=True):
    """The result of a statement. It has no columns if the statement asks nothing, such as CREATE TEMP TABLE."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    """The types of the columns, as DuckDB names them."""
    rows: Iterable[Row]
    """The rows. They are read while they are iterated, once."""
    written: int | None = None
    """How many rows the statement wrote, if it wrote any."""


class Result(OpenResult, frozen=True):
    """A result with all its rows in memory."""

    rows: tuple[Row, ...]
