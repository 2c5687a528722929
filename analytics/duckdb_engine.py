"""DuckDB in the place of Athena: the same table, views and SQL over an archive on this disk.

MiniStack's own Athena is DuckDB too, but it infers the table from the files, so a price becomes a binary number and a
column that no line has is an error, and it knows no views.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from analytics.catalog import Catalog, Column, Table
from analytics.errors import AnalyticsError

_TYPES = {"string": "VARCHAR", "bigint": "BIGINT", "int": "INTEGER", "double": "DOUBLE", "boolean": "BOOLEAN"}
_DECIMAL = re.compile(r"decimal\(\d+,\d+\)")
_MACROS = (
    # What Trino has and DuckDB has not. Athena's percentile is an estimate, this one is exact.
    "CREATE MACRO from_iso8601_timestamp(text) AS CAST(text AS TIMESTAMPTZ)",
    "CREATE MACRO approx_percentile(value, fraction) AS quantile_disc(value, fraction)",
)


class QueryError(AnalyticsError):
    """The SQL is wrong, or names what is not there; the message is the engine's."""


class Answer(msgspec.Struct, frozen=True):
    """What a statement answered: rows of Decimal, datetime (UTC, naive), date, int, float, str, bool or None."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    """As DuckDB names them."""
    rows: tuple[tuple[Any, ...], ...]


class Engine:
    """The catalog over the archive in a directory, which holds `raw-data/dt=…/hour=…/*.jsonl.gz`; it may hold none.

    A price is read as a double's shortest text, which is exact up to 15 digits; Athena reads all 23.
    """

    def __init__(self, catalog: Catalog, archive: Path) -> None:
        self._connection = duckdb.connect(":memory:")
        self._execute("SET TimeZone = 'UTC'")
        for macro in _MACROS:
            self._execute(macro)
        self._execute(f"CREATE VIEW {catalog.table.name} AS {_relation(catalog.table, archive)}")
        for view in catalog.views:
            self._execute(f"CREATE VIEW {view.name} AS {view.select}")

    def run(self, sql: str) -> Answer:
        """Run one statement, or several and answer the last. Raises `QueryError`."""
        result = self._execute(sql)
        description = result.description or []
        return Answer(
            tuple(column[0] for column in description),
            tuple(str(column[1]) for column in description),
            tuple(self._fetched(result)) if description else (),
        )

    def columns(self, name: str) -> Answer:
        """The columns of a table or view, with their types."""
        return self.run(f"SELECT column_name, column_type FROM (DESCRIBE {_quoted(name)})")  # noqa: S608  (the user's own SQL)

    def close(self) -> None:
        """Give the memory back."""
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


def _relation(table: Table, archive: Path) -> str:
    """A SELECT of the table's columns from the archive's files, with Trino's `$path` beside them."""
    pattern = archive / "raw-data" / "*" / "*" / "*.jsonl.gz"
    names = [*table.columns, *table.partition_keys, Column("$path", "string")]
    if next(archive.glob("raw-data/*/*/*.jsonl.gz"), None) is None:
        return (
            f"SELECT {', '.join(f'CAST(NULL AS {_type(each)}) AS {_quoted(each.name)}' for each in names)} WHERE false"
        )
    # Read as text and cast: a decimal column would be a rounded double.
    as_text = ", ".join(f"{_literal(column.name)}: 'VARCHAR'" for column in table.columns)
    keys = ", ".join(f"{_literal(key.name)}: {_type(key)}" for key in table.partition_keys)
    casts = ", ".join(f"CAST({_quoted(each.name)} AS {_type(each)}) AS {_quoted(each.name)}" for each in names)
    source = (
        f"read_json({_literal(str(pattern))}, format = 'newline_delimited', columns = {{{as_text}}}, "
        f"hive_partitioning = true, hive_types = {{{keys}}}, filename = '$path')"
    )
    return f"SELECT {casts} FROM {source}"  # noqa: S608  (the template's names and a path, quoted)


def _type(column: Column) -> str:
    if _DECIMAL.fullmatch(column.type):
        return column.type.upper()
    try:
        return _TYPES[column.type]
    except KeyError:
        raise QueryError(f"the column {column.name} is of type {column.type}, which is not known here") from None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
