"""DuckDB in place of Athena: the same table, views and SQL over an archive on this machine.

MiniStack's Athena uses DuckDB too, but it infers the table from the files. There, a price becomes a binary number, a
column that no line has is an error, and there are no views.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from analytics.catalog import Catalog, Column, Table
from analytics.errors import AnalyticsError
from analytics.result import Result

_TYPES = {"string": "VARCHAR", "bigint": "BIGINT", "int": "INTEGER", "double": "DOUBLE", "boolean": "BOOLEAN"}
MEMORY = "1GB"
"""How much memory a query takes. The rest goes to the disk, whatever a small compressed file holds."""
_DECIMAL = re.compile(r"decimal\(\d+,\d+\)")
_MACROS = (
    # Functions of Trino that DuckDB does not have. Athena estimates the percentile, and this one is exact.
    "CREATE MACRO from_iso8601_timestamp(text) AS CAST(text AS TIMESTAMPTZ)",
    "CREATE MACRO approx_percentile(value, fraction) AS quantile_disc(value, fraction)",
)


class QueryError(AnalyticsError):
    """The SQL is wrong, or names something that does not exist. The message is that of DuckDB."""


class Engine:
    """The catalog over the archive in a directory, whose files are `raw-data/dt=…/hour=…/*.jsonl.gz`. It may be empty.

    DuckDB reads a price through a double, which is exact up to 15 digits. Athena reads all 23.
    """

    def __init__(self, catalog: Catalog, archive: Path) -> None:
        self._connection = duckdb.connect(":memory:")
        self._execute(f"SET memory_limit = '{MEMORY}'")
        self._execute("SET TimeZone = 'UTC'")
        for macro in _MACROS:
            self._execute(macro)
        self._execute(f"CREATE VIEW {catalog.table.name} AS {_relation(catalog.table, archive)}")
        for view in catalog.views:
            self._execute(f"CREATE VIEW {view.name} AS {view.select}")

    def run(self, sql: str) -> Result:
        """Run one or more statements and return the last result. Raises `QueryError`."""
        result = self._execute(sql)
        description = result.description or []
        return Result(
            tuple(column[0] for column in description),
            tuple(str(column[1]) for column in description),
            tuple(self._fetched(result)) if description else (),
        )

    def columns(self, name: str) -> Result:
        """The columns of a table or view with their types. Raises `QueryError`."""
        return self.run(f"SELECT column_name, column_type FROM (DESCRIBE {_quoted(name)})")  # noqa: S608  (the user's own SQL)

    def close(self) -> None:
        """Free the memory."""
        self._connection.close()

    def _execute(self, sql: str) -> duckdb.DuckDBPyConnection:
        try:
            return self._connection.execute(sql)
        except duckdb.Error as error:
            raise QueryError(str(error)) from error

    @staticmethod
    def _fetched(result: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
        try:
            return result.fetchall()
        except duckdb.Error as error:
            raise QueryError(str(error)) from error


def view_columns(catalog: Catalog) -> Mapping[str, tuple[Column, ...]]:
    """The columns of each view, with types as Glue writes them."""
    with tempfile.TemporaryDirectory() as empty_archive:
        engine = Engine(catalog, Path(empty_archive))
        columns = {
            view.name: tuple(Column(name, _glue_type(kind)) for name, kind in engine.columns(view.name).rows)
            for view in catalog.views
        }
        engine.close()
    return columns


def _glue_type(duckdb_type: str) -> str:
    return {"VARCHAR": "string", "INTEGER": "int"}.get(duckdb_type, duckdb_type.lower())


def _relation(table: Table, archive: Path) -> str:
    """A SELECT of the table's columns and of Trino's `$path` from the files of the archive."""
    pattern = archive / "raw-data" / "*" / "*" / "*.jsonl.gz"
    names = [*table.columns, *table.partition_keys, Column("$path", "string")]
    if next(archive.glob("raw-data/*/*/*.jsonl.gz"), None) is None:
        return (
            f"SELECT {', '.join(f'CAST(NULL AS {_type(each)}) AS {_quoted(each.name)}' for each in names)} WHERE false"
        )
    # Everything is read as text and cast, because DuckDB would read a decimal column as a rounded double.
    as_text = ", ".join(f"{_literal(column.name)}: 'VARCHAR'" for column in table.columns)
    keys = ", ".join(f"{_literal(key.name)}: {_type(key)}" for key in table.partition_keys)
    casts = ", ".join(f"CAST({_quoted(each.name)} AS {_type(each)}) AS {_quoted(each.name)}" for each in names)
    source = (
        f"read_json({_literal(str(pattern))}, format = 'newline_delimited', columns = {{{as_text}}}, "
        f"hive_partitioning = true, hive_types = {{{keys}}}, filename = '$path')"
    )
    return f"SELECT {casts} FROM {source}"  # noqa: S608  (names of the template and a path, quoted)


def _type(column: Column) -> str:
    if _DECIMAL.fullmatch(column.type):
        return column.type.upper()
    try:
        return _TYPES[column.type]
    except KeyError:
        raise QueryError(
            f"column {column.name} has the type {column.type}, which this engine does not support"
        ) from None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
