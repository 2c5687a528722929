"""The SQL with which DuckDB defines what Athena has: the table, the views and some functions of Trino.

DuckDB reads the numbers of JSON as doubles, so a price is taken from the text of its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from analytics import compacted_files, compacted_tables, local_tables
from analytics.catalog import Catalog, CatalogError, Table
from analytics.columns import Column
from analytics.compacted_tables import CompactedTable
from analytics.local_tables import LocalTable
from analytics.quoting import literal, quoted

PRICES = frozenset({"price", "open", "high", "low", "previous_close", "amount"})
"""The columns of text that are numbers in the lines."""
_TYPES = {
    "string": "VARCHAR",
    "bigint": "BIGINT",
    "int": "INTEGER",
    "double": "DOUBLE",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "decimal(38,26)": "DECIMAL(38,26)",
}
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
    yield f"CREATE VIEW {local_tables.ALERTS.name} AS {_local_relation(local_tables.ALERTS, archive)}"
    current = compacted_files.read(archive)
    for compacted in compacted_tables.TABLES:
        files = [archive / key for key in compacted_files.keys_of(current, compacted.name)] if current else []
        yield f"CREATE VIEW {compacted.name} AS {_stored(_duckdb_columns(compacted), files)}"
    for view in catalog.views_at(current.compacted_to if current else None):
        select = _PRICE_CAST.sub(r"price_of(\1)", view.select)
        if view.name == local_tables.BARS.name:
            select = _with_kept_bars(select, archive)
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
    file = table.file_in(archive)
    return _stored(table.columns, [file] if file.is_file() else [])


def _with_kept_bars(select: str, archive: Path) -> str:
    """The bars of the compacted tables, and those that a demo has kept beside the archive."""
    kept = _local_relation(local_tables.BARS, archive)
    return (
        f"WITH compacted AS ({select}), kept AS ({kept}) "  # noqa: S608  (names of this package)
        "FROM compacted UNION ALL BY NAME SELECT * FROM kept ANTI JOIN compacted USING (symbol, resolution, start)"
    )


def _duckdb_columns(table: CompactedTable) -> list[Column]:
    return [Column(column.name, _type(column)) for column in table.columns]


def _stored(columns: Iterable[Column], files: Sequence[Path]) -> str:
    """A SELECT of columns, which have types of DuckDB, from Parquet files, or of no rows if there are none."""
    empty = ", ".join(f"CAST(NULL AS {column.type}) AS {quoted(column.name)}" for column in columns)
    if not files:
        return f"SELECT {empty} WHERE false"
    # An older file may lack columns.
    names = ", ".join(quoted(column.name) for column in columns)
    listed = ", ".join(literal(str(file)) for file in files)
    # DuckDB would take the month in the name of a folder, day=2026-11-01, for the column of this name.
    options = "union_by_name = true, hive_partitioning = false"
    stored = f"SELECT * FROM read_parquet([{listed}], {options})"  # noqa: S608  (paths, quoted)
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
