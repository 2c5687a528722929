"""What there is to ask by SQL: the table of the template, the views and the saved queries of infra/athena."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from analytics.errors import AnalyticsError

ROOT = Path(__file__).parents[1]
ATHENA = ROOT / "infra" / "athena"
TEMPLATES = ROOT / "infra" / "cloudformation"
TABLE_TEMPLATE = TEMPLATES / "analytics.yaml"
LINES = "lines"


class CatalogError(AnalyticsError):
    """A template or a file of SQL is not as it should be."""


class Column(msgspec.Struct, frozen=True):
    """A column of the table, with its type as Glue writes it: `string`, `bigint`, `decimal(23,8)`."""

    name: str
    type: str


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """The table over the archive: what Glue knows of it."""

    name: str
    columns: tuple[Column, ...]
    partition_keys: tuple[Column, ...]


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A view or a saved query: one SELECT, and what it answers."""

    name: str
    description: str
    select: str


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. A view may name the views before it."""

    table: Table
    views: tuple[Statement, ...]
    queries: tuple[Statement, ...]

    def query(self, name: str) -> Statement | None:
        """The saved query of that name; `daily-ohlc` is `daily_ohlc`."""
        wanted = name.strip().replace("-", "_").lower()
        return next((query for query in self.queries if query.name == wanted), None)


def read(template: Path = TABLE_TEMPLATE, directory: Path = ATHENA) -> Catalog:
    """The catalog of the repository's own files. Raises `CatalogError`."""
    return Catalog(
        table=_table(template),
        views=_statements(directory / "views"),
        queries=_statements(directory / "queries"),
    )


def _statements(directory: Path) -> tuple[Statement, ...]:
    return tuple(map(_statement, sorted(directory.glob("*.sql"))))


def _statement(path: Path) -> Statement:
    first, _, select = path.read_text(encoding="utf-8").partition("\n")
    if not (first.startswith("-- ") and re.match(r"(SELECT|WITH)\s", select) and ";" not in select):
        raise CatalogError(f"{path}: a line `-- what it answers`, then one SELECT without a semicolon, is wanted")
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
    return tuple(Column(column["Name"], column["Type"].replace(" ", "")) for column in listed)


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms, `!Ref X` and the like, as what they are applied to."""


def _short_form(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)  # noqa: S101  (YAML has no fourth kind)
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _short_form)
