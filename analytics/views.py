"""The views as they are at a moment: over the raw archive alone, or over compacted tables and the rest of the archive.

After each commit, compaction writes them to Glue with the day up to which the tables are complete.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from msgspec.structs import asdict

from analytics import catalog
from analytics.catalog import Statement
from analytics.columns import Column
from analytics.duckdb_engine import view_columns
from analytics.templates import glue_table


class View(Statement, frozen=True, kw_only=True):
    """A view with the types of its columns as Glue writes them."""

    columns: tuple[Column, ...]

    def table_input(self, database: str) -> dict[str, Any]:
        """The `TableInput` with which Glue's CreateTable or UpdateTable makes it a view of Athena."""
        return glue_table(self, self.columns, database)


def views_for(compacted_to: date | None) -> list[View]:
    """All views, each after those that it uses.

    Every event before the day `compacted_to` (UTC) is in the compacted tables, and the raw archive is read from there
    on. With None there are no compacted tables, and the views are those of the template `views.yaml`.
    """
    known = catalog.read()
    columns = view_columns(known)
    return [View(**asdict(each), columns=columns[each.name]) for each in known.views_at(compacted_to)]
