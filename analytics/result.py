"""The result of a query, as a value."""

from __future__ import annotations

from typing import Any

import msgspec


class Result(msgspec.Struct, frozen=True):
    """The result of a statement. Values are Decimal, datetime (UTC, naive), date, int, float, str, bool or None."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    """The types of the columns, as DuckDB names them."""
    rows: tuple[tuple[Any, ...], ...]
