"""DuckDB in place of Athena: the same table, views and SQL over an archive on this machine.

MiniStack's Athena uses DuckDB too, but it infers the table from the files. There, a price becomes a binary number, a
column that no line has is an error, and there are no views.

SQL may come from others, and DuckDB can do much more than ask questions. So by default it reaches only the files of the
archive, and can write none.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from analytics.catalog import Catalog, Column, Table
from analytics.errors import AnalyticsError
from analytics.result import Result

_PRICE = "decimal(38,26)"
_TYPES = {"string": "VARCHAR", "bigint": "BIGINT", "int": "INTEGER", _PRICE: "DECIMAL(38,26)"}
MEMORY = "1GB"
"""How much memory a query takes. The rest goes to the disk, whatever a small compressed file holds."""
_MACROS = (
    # Functions of Trino that DuckDB does not have. Athena estimates the percentile, and this one is exact.
    "CREATE MACRO from_iso8601_timestamp(text) AS CAST(text AS TIMESTAMPTZ)",
    "CREATE MACRO approx_percentile(value, fraction) AS quantile_disc(value, fraction)",
)


_PRICE_MACRO = """
CREATE MACRO price_of(number) AS CASE
    WHEN number = '' THEN NULL
    WHEN length(split_part(number, '.', 2)) <= 6 THEN CAST(CAST(number AS DECIMAL(18,6)) AS DECIMAL(38,26))
    ELSE CAST(number AS DECIMAL(38,26))
END
"""
"""A price from its text. By way of 6 places, most prices take a tenth of the time."""

_FILES = "add --allow-files to let SQL read and write files of this machine"
_FILE_STATEMENTS = frozenset({"ATTACH", "COPY", "EXPORT"})
"""What writes files. DuckDB's own lock would let it write into the archive."""
_EXTENSION_STATEMENTS = frozenset({"INSTALL", "LOAD"})
_WITH_A_STATEMENT = frozenset({duckdb.StatementType.EXPLAIN, duckdb.StatementType.PREPARE})
"""`EXPLAIN ANALYZE COPY …` writes too."""
_CHANGEABLE = ("TimeZone", "memory_limit", "threads")
_LOCKS = (
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET allow_persistent_secrets = false",
    "SET python_enable_replacements = false",  # else a name in FROM may be a variable of this program
    "SET enable_external_access = false",
    f"SET allowed_configs = {list(_CHANGEABLE)}",
    "SET lock_configuration = true",
)
"""https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview. The last one is the lock."""


class QueryError(AnalyticsError):
    """The SQL is wrong, or names something that does not exist. The message is that of DuckDB."""


class Engine:
    """The catalog over the archive in a directory, whose files are `raw-data/dt=…/hour=…/*.jsonl.gz`. It may be empty.

    SQL reaches no other files, unless `allow_files` is set. It never reaches the network, extensions or most settings.
    Prices are exact, as in Athena.
    """

    def __init__(self, catalog: Catalog, archive: Path, *, allow_files: bool = False) -> None:
        archive = archive.absolute()
        self._refused = _EXTENSION_STATEMENTS if allow_files else _EXTENSION_STATEMENTS | _FILE_STATEMENTS
        self._connection = duckdb.connect(":memory:")
        self._execute(f"SET memory_limit = '{MEMORY}'")
        self._execute("SET TimeZone = 'UTC'")
        for macro in (*_MACROS, _PRICE_MACRO):
            self._execute(macro)
        self._execute(f"CREATE VIEW {catalog.table.name} AS {_relation(catalog.table, archive)}")
        for view in catalog.views:
            self._execute(f"CREATE VIEW {view.name} AS {view.select}")
        allowed = archive.anchor if allow_files else str(archive / "raw-data")
        for setting in (f"SET allowed_directories = [{_literal(allowed)}]", *_LOCKS):
            self._execute(setting)

    def run(self, sql: str) -> Result:
        """Run one or more statements and return the last result. Raises `QueryError`."""
        self._check(sql)
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

    def _check(self, sql: str) -> None:
        """Raise `QueryError` if a statement may not run here."""
        with _query_errors():
            statements = self._connection.extract_statements(sql)
        if not statements:
            raise QueryError("there is no statement")
        for statement in statements:
            kinds = {statement.type.name}
            if statement.type in _WITH_A_STATEMENT:
                kinds |= _keywords(statement.query)
            for kind in sorted(kinds & self._refused):
                if kind in _FILE_STATEMENTS:
                    raise QueryError(f"{kind} is off, because it reads or writes files: {_FILES}")
                raise QueryError("INSTALL and LOAD are off: SQL runs without extensions here")

    def _execute(self, sql: str) -> duckdb.DuckDBPyConnection:
        with _query_errors():
            return self._connection.execute(sql)

    @staticmethod
    def _fetched(result: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
        with _query_errors():
            return result.fetchall()


@contextmanager
def _query_errors() -> Iterator[None]:
    """Raise DuckDB's errors as `QueryError`. The one of the lock also says how to allow files."""
    try:
        yield
    except duckdb.PermissionException as error:
        raise QueryError(f"{error}\n{_FILES}") from error
    except duckdb.Error as error:
        raise QueryError(str(error)) from error


def _keywords(statement: str) -> set[str]:
    """The keywords of a statement in upper case. Comments, texts and quoted names are none."""
    content = statement.encode()  # DuckDB counts bytes
    starts = [start for start, kind in duckdb.tokenize(statement) if kind == duckdb.token_type.keyword]
    return {match[0].decode().upper() for start in starts if (match := re.match(rb"\w+", content[start:]))}


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
    texts = {column.name: "VARCHAR" for column in table.columns if column.type != _PRICE}
    keys = ", ".join(f"{_literal(key.name)}: {_type(key)}" for key in table.partition_keys)
    values = ", ".join(f"{_value(each, table)} AS {_quoted(each.name)}" for each in names)
    source = (
        f"read_ndjson_objects({_literal(str(pattern))}, hive_partitioning = true, hive_types = {{{keys}}}, "
        "filename = '$path')"
    )
    fields = f"from_json(json, {_literal(msgspec.json.encode(texts).decode())})"
    return f"SELECT {values} FROM (SELECT *, CAST(json AS VARCHAR) AS text, {fields} AS fields FROM {source})"  # noqa: S608  (names of the template and a path, quoted)


def _value(column: Column, table: Table) -> str:
    """The value of a column. A price is found in the text of the line, because DuckDB reads numbers as doubles."""
    if column not in table.columns:
        return f"CAST({_quoted(column.name)} AS {_type(column)})"
    if column.type != _PRICE:
        return f"CAST(fields.{_quoted(column.name)} AS {_type(column)})"
    # In a string, the quotation marks of `"price"` would be escaped. So the first match is the field.
    pattern = f'"{column.name}"[ \t]*:[ \t]*(-?[0-9.]+)'
    return f"price_of(regexp_extract(text, {_literal(pattern)}, 1))"


def _type(column: Column) -> str:
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
