"""The SQL with which DuckDB defines what Athena has: the table, the views and some functions of Trino.

DuckDB reads the numbers of JSON as doubles, so a price is taken from the text of its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from analytics import local_tables
from analytics.catalog import Catalog, CatalogError, Column, Table
from analytics.local_tables import LocalTable
from analytics.quoting import literal, quoted

PRICES = frozenset({"price", "open", "high", "low", "previous_close", "amount"})
"""The columns of text that are numbers in the lines."""
_TYPES = {"string": "VARCHAR", "bigint": "BIGINT", "int": "INTEGER"}
_MACROS = (
    # Functions of Trino that DuckDB does not have. Athena estimates the percentile, and this one is exact.
    "CREATE MACRO from_iso8601_timestamp(text) AS CAST(text AS TIMESTAMPTZ)",
    "CREATE MACRO approx_percentile(value, fraction) AS quantile_disc(value, fraction)",
)


_PRICE_MACRO = """
CREATE MACRO price_of(number) AS CASE
    WHEN length(split_part(number, '.', 2)) <= 6 THEN CAST(CAST(number AS DECIMAL(18,6)) AS DECIMAL(38,26))
    ELSE CAST(number AS DECIMAL(38,26))
END
"""
"""`CAST(number AS decimal(38,26))`. By way of 6 places, most prices take a hundredth of the time."""
_PRICE_CAST = re.compile(r"CAST\((\w+) AS decimal\(38,26\)\)")
"""The cast of a price in a view."""


def definitions(catalog: Catalog, archive: Path) -> Iterator[str]:
    """The statements that make the tables, the views and the functions of Trino."""
    yield from (*_MACROS, _PRICE_MACRO)
    yield f"CREATE VIEW {catalog.table.name} AS {_relation(catalog.table, archive)}"
    for table in local_tables.TABLES:
        yield f"CREATE VIEW {table.name} AS {_local_relation(table, archive)}"
    for view in catalog.views:
        select = _PRICE_CAST.sub(r"price_of(\1)", view.select)
        yield f"CREATE VIEW {view.name} AS {select}"


def _relation(table: Table, archive: Path) -> str:
    """A SELECT of the table's columns and of Trino's `$path` from the files of the archive."""
    pattern = archive / "raw-data" / "*" / "*" / "*.jsonl.gz"
    names = [*table.columns, *table.partition_keys, Column("$path", "string")]
    if next(archive.glob("raw-data/*/*/*.jsonl.gz"), None) is None:
        return (
            f"SELECT {', '.join(f'CAST(NULL AS {_type(each)}) AS {quoted(each.name)}' for each in names)} WHERE false"
        )
    texts = {column.name: "VARCHAR" for column in table.columns if column.name not in PRICES}
    keys = ", ".join(f"{literal(key.name)}: {_type(key)}" for key in table.partition_keys)
    values = ", ".join(f"{_value(each, table)} AS {quoted(each.name)}" for each in names)
    source = (
        f"read_ndjson_objects({literal(str(pattern))}, hive_partitioning = true, hive_types = {{{keys}}}, "
        "filename = '$path')"
    )
    fields = f"from_json(json, {literal(msgspec.json.encode(texts).decode())})"
    return f"SELECT {values} FROM (SELECT *, CAST(json AS VARCHAR) AS text, {fields} AS fields FROM {source})"  # noqa: S608  (names of the template and a path, quoted)


def _local_relation(table: LocalTable, archive: Path) -> str:
    """A SELECT of the table's columns from its file, or of no rows if there is none."""
    empty = ", ".join(f"CAST(NULL AS {column.type}) AS {quoted(column.name)}" for column in table.columns)
    file = table.file_in(archive)
    if not file.is_file():
        return f"SELECT {empty} WHERE false"
    # An older file may lack columns.
    names = ", ".join(quoted(column.name) for column in table.columns)
    stored = f"SELECT * FROM read_parquet({literal(str(file))})"  # noqa: S608  (a path, quoted)
    return f"SELECT {names} FROM (SELECT {empty} WHERE false UNION ALL BY NAME {stored})"  # noqa: S608  (names of this package)


def _value(column: Column, table: Table) -> str:
    """The value of a column. A price is found in the text of the line, because DuckDB reads numbers as doubles."""
    if column not in table.columns:
        return f"CAST({quoted(column.name)} AS {_type(column)})"
    if column.name not in PRICES:
        return f"CAST(fields.{quoted(column.name)} AS {_type(column)})"
    # In a string, the quotation marks of `"price"` would be escaped. So the first match is the field.
    pattern = f'"{column.name}"[ \t]*:[ \t]*(-?[0-9.]+)'
    return f"nullif(regexp_extract(text, {literal(pattern)}, 1), '')"


def _type(column: Column) -> str:
    try:
        return _TYPES[column.type]
    except KeyError:
        raise CatalogError(
            f"column {column.name} has the type {column.type}, which this engine does not support"
        ) from None
