"""The catalog of the SQL: the table in the template, and the views and saved queries in infra/athena."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import yaml

from analytics.columns import Column
from analytics.errors import AnalyticsError
from workspace.places import ROOT

ATHENA = ROOT / "infra" / "athena"
TEMPLATES = ROOT / "infra" / "cloudformation"
TABLE_TEMPLATE = TEMPLATES / "analytics.yaml"
LINES = "lines"
COMPACTED_TO = "DATE '1970-01-01'"
"""What stands in the files of the compacted views for the first day (UTC) that is not in the compacted tables."""


class CatalogError(AnalyticsError):
    """A template or an SQL file is not valid."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """The table over the archive, as Glue knows it."""

    name: str
    columns: tuple[Column, ...]
    partition_keys: tuple[Column, ...]


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A view or a saved query: one SELECT, and a description of its result."""

    name: str
    description: str
    select: str


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """The table, the views and the saved queries."""

    table: Table
    views: tuple[Statement, ...]
    """The views before the first compaction, each after those that it uses."""
    compacted: tuple[Statement, ...] = ()
    """The views that read compacted tables, in place of the views with the same names. They contain `COMPACTED_TO`."""
    queries: tuple[Statement, ...]
    """The saved queries, sorted by name."""

    def views_at(self, compacted_to: date | None) -> tuple[Statement, ...]:
        """The views, each after those that it uses. Compacted tables have all events before a day, if there is one."""
        if compacted_to is None:
            return self.views
        replaced = {view.name: view for view in self.compacted}
        views = (replaced.get(view.name, view) for view in self.views)
        literal = f"DATE '{compacted_to:%Y-%m-%d}'"
        return tuple(msgspec.structs.replace(view, select=view.select.replace(COMPACTED_TO, literal)) for view in views)

    def query(self, name: str) -> Statement | None:
        """The saved query with this name, if there is one. `daily-ohlc` is the same as `daily_ohlc`."""
        wanted = name.strip().replace("-", "_").lower()
        return next((query for query in self.queries if query.name == wanted), None)


def read(template: Path = TABLE_TEMPLATE, directory: Path = ATHENA) -> Catalog:
    """Read the catalog, by default from the files of this repository. Raises `CatalogError`."""
    return Catalog(
        table=_table(template),
        views=_ordered(_statements(directory / "views")),
        compacted=_statements(directory / "compacted"),
        queries=_statements(directory / "queries"),
    )


def _statements(directory: Path) -> tuple[Statement, ...]:
    return tuple(map(_statement, sorted(directory.glob("*.sql"))))


def _ordered(views: Sequence[Statement]) -> tuple[Statement, ...]:
    """The views, each after those that it uses. Raises `CatalogError` if some use each other."""
    ordered: list[Statement] = []
    left = list(views)
    while left:
        names = "|".join(view.name for view in left)
        ready = [view for view in left if not re.search(rf"\b(FROM|JOIN)\s+({names})\b", view.select)]
        if not ready:
            raise CatalogError(f"the views {names.replace('|', ', ')} use each other")
        ordered += ready
        left = [view for view in left if view not in ready]
    return tuple(ordered)


def _statement(path: Path) -> Statement:
    first, _, select = path.read_text(encoding="utf-8").partition("\n")
    if not (first.startswith("-- ") and re.match(r"(SELECT|WITH)\s", select) and ";" not in select):
        raise CatalogError(
            f"{path}: the first line must be a description that starts with `-- `, and the rest must be one SELECT "
            "without a semicolon"
        )
    return Statement(name=path.stem, description=first.removeprefix("-- ").strip(), select=select.strip())


def _table(template: Path) -> Table:
    try:
        resources = yaml.load(template.read_text(encoding="utf-8"), _Loader)["Resources"]  # noqa: S506  (a SafeLoader)
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise CatalogError(f"{template} cannot be read: {error}") from error
    for resource in resources.values():
        table = resource.get("Properties", {}).get("TableInput", {})
        if resource["Type"] == "AWS::Glue::Table" and table.get("Name") == LINES:
            return Table(
                name=LINES,
                columns=_columns(table["StorageDescriptor"]["Columns"]),
                partition_keys=_columns(table["PartitionKeys"]),
            )
    raise CatalogError(f"{template} has no AWS::Glue::Table {LINES}")


def _columns(listed: list[Mapping[str, str]]) -> tuple[Column, ...]:
    return tuple(
        Column(column["Name"], column["Type"].replace(" ", ""), str(column.get("Comment", ""))) for column in listed
    )


class _Loader(yaml.SafeLoader):
    """A YAML loader that reads CloudFormation's short forms, such as `!Ref X`, as their argument."""


def _short_form(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)  # noqa: S101  (YAML has only these three kinds)
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _short_form)
