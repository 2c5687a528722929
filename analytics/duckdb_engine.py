"""DuckDB in place of Athena: the same table, views and SQL over an archive on this machine.

MiniStack's Athena uses DuckDB too, but it infers the table from the files. There, a price becomes a binary number, a
column that no line has is an error, and there are no views.

SQL may come from others, and DuckDB can do much more than ask questions. So by default it reaches only the files of the
archive, and can write none. The tables and views are in a database that is read-only, so that no statement changes what
the next one asks.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import duckdb

from analytics import local_tables
from analytics.catalog import Catalog
from analytics.columns import Column
from analytics.compacted_tables import FOLDER
from analytics.errors import AnalyticsError
from analytics.quoting import literal, quoted
from analytics.relations import definitions
from analytics.result import OpenResult, Result, Row
from analytics.statements import words_of

T = TypeVar("T")

MEMORY = "1GB"
"""How much memory a query takes. The rest goes to the disk, whatever a small compressed file holds."""
DATABASE = "archive"
"""The read-only database of the tables and views."""
BATCH = 1_000
"""How many rows are read at once."""
LOOK_SECONDS = 0.05
"""How long to wait for a query until Ctrl-C is looked for again."""
_FILES = "add --allow-files (SQL_ARGS=--allow-files with make) to let SQL read and write files of this machine"
_OFF = {
    "COPY": f"COPY is off, because it reads or writes files: {_FILES}",
    "EXPORT": f"EXPORT is off, because it writes files: {_FILES}",
    "ATTACH": f"ATTACH is off, because it reads or writes files: {_FILES}",
    "LOAD": "INSTALL and LOAD are off: SQL runs without extensions here",
    "DETACH": "DETACH is off: the archive stays attached",
    "USE": "USE is off: every statement asks the archive",
}
"""Statements that are refused, and why. DuckDB's own lock would let COPY write into the archive."""
_WITH_FILES = frozenset({"COPY", "EXPORT", "ATTACH"})
"""Those that `allow_files` allows."""
_WITH_A_STATEMENT = frozenset({duckdb.StatementType.EXPLAIN, duckdb.StatementType.PREPARE})
"""`EXPLAIN ANALYZE COPY …` writes too."""
_DEFINING = frozenset({duckdb.StatementType.CREATE, duckdb.StatementType.ALTER})
_READ_ONLY = (
    "the archive is read-only. CREATE TEMP TABLE or CREATE TEMP VIEW makes a table or a view of your own, "
    "which lasts as long as this program"
)
_REFUSED_CHANGE = re.compile("read-only mode|is not an table|base table|object .* is of type View")
"""DuckDB's errors if a statement would change the archive."""
_WITHOUT_ROWS = (("Count",), ("Success",))
"""The columns that DuckDB returns for a statement that asks nothing."""
_DEFINED = re.compile(r"^CREATE (?:VIEW|MACRO) (\w+)", re.MULTILINE)
"""The name in a statement of `definitions`."""
_TEMPORARY = """
SELECT 'TABLE' AS kind, table_name AS name FROM duckdb_tables() WHERE database_name = 'temp'
UNION ALL SELECT 'VIEW', view_name FROM duckdb_views() WHERE database_name = 'temp'
UNION ALL SELECT if(function_type = 'macro', 'MACRO', 'MACRO TABLE'), function_name
FROM duckdb_functions() WHERE database_name = 'temp' AND function_type IN ('macro', 'table_macro')
"""
"""What SQL has made."""
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

    SQL reaches no other files, unless `allow_files` is set. It never reaches the network, extensions or most settings,
    and it changes neither tables nor views. Prices are exact, as in Athena. Ctrl-C ends a statement with
    `KeyboardInterrupt`, and the engine goes on.
    """

    def __init__(self, catalog: Catalog, archive: Path, *, allow_files: bool = False) -> None:
        archive = archive.absolute()
        self._off = {kind: why for kind, why in _OFF.items() if not (allow_files and kind in _WITH_FILES)}
        self._thread = ThreadPoolExecutor(1)
        self._connection = duckdb.connect(":memory:")
        self._execute(f"SET memory_limit = '{MEMORY}'")
        self._execute("SET TimeZone = 'UTC'")
        # By default, it is `.tmp` in the current directory. DuckDB makes it for the first query that needs it.
        spilled = str(Path(tempfile.gettempdir(), f"stockstream-sql-{uuid4().hex}"))
        self._remove_spilled = weakref.finalize(self, shutil.rmtree, spilled, ignore_errors=True)
        self._execute(f"SET temp_directory = {literal(spilled)}")
        # DuckDB keeps the file open, so nothing is left on the disk however this process ends.
        with tempfile.TemporaryDirectory(prefix="stockstream-sql-") as scratch:
            file = literal(str(Path(scratch, f"{DATABASE}.duckdb")))
            self._execute(f"ATTACH {file} AS {DATABASE}; USE {DATABASE}")
            defined = list(definitions(catalog, archive))
            for statement in defined:
                self._execute(statement)
            self._execute(f"USE memory; DETACH {DATABASE}; ATTACH {file} AS {DATABASE} (READ_ONLY); USE {DATABASE}")
        self._names = frozenset(name.lower() for statement in defined for name in _DEFINED.findall(statement))
        self.lacking = frozenset(table.name for table in local_tables.TABLES if not table.file_in(archive).is_file())
        """The tables beside the archive that it does not have. They are empty."""
        parts = ("raw-data", local_tables.DIRECTORY, FOLDER)
        places = [archive.anchor] if allow_files else [archive / part for part in parts]
        allowed = ", ".join(literal(str(place)) for place in places)
        for setting in (f"SET allowed_directories = [{allowed}]", *_LOCKS):
            self._execute(setting)

    def run(self, sql: str) -> Result:
        """Run one or more statements and return the last result with all its rows. Raises `QueryError`."""
        result = self.open(sql)
        return Result(result.columns, result.types, tuple(result.rows), result.written)

    def open(self, sql: str) -> OpenResult:
        """Run one or more statements and return the last result, whose rows are read while they are iterated.

        Nothing else can run meanwhile. Both this and the iteration raise `QueryError`.
        """
        *others, last = self._checked(sql)
        for statement in others:
            self._execute(statement)
        result = self._execute(last)
        columns = tuple(column[0] for column in result.description or [])
        types = tuple(str(column[1]) for column in result.description or [])
        if last.expected_result_type == [duckdb.ExpectedResultType.QUERY_RESULT] or columns not in _WITHOUT_ROWS:
            return OpenResult(columns, types, self._fetched(result))
        row = result.fetchone()
        if last.type in _DEFINING:
            self._keep_names()
        return OpenResult((), (), (), written=row[0] if row else None)

    def columns(self, name: str) -> Result:
        """The columns of a table or view with their types. Raises `QueryError`."""
        return self.run(f"SELECT column_name, column_type FROM (DESCRIBE {quoted(name)})")  # noqa: S608  (the user's own SQL)

    def all_columns(self) -> Sequence[str]:
        """The names of all columns of all tables and views."""
        names = f"SELECT DISTINCT column_name FROM duckdb_columns() WHERE database_name = '{DATABASE}'"  # noqa: S608  (a constant)
        return [name for (name,) in self._execute(names).fetchall()]

    def close(self) -> None:
        """Cancel what runs, and free the memory and the disk."""
        self._cancel()
        self._thread.shutdown()
        self._connection.close()
        self._remove_spilled()

    def _checked(self, sql: str) -> list[duckdb.Statement]:
        """The statements. Raises `QueryError` if one may not run here."""
        with _query_errors():
            statements = self._connection.extract_statements(sql)
        if not statements:
            raise QueryError("there is no statement")
        for statement in statements:
            for kind in sorted(_kinds(statement) & self._off.keys()):
                raise QueryError(self._off[kind])
        return statements

    def _keep_names(self) -> None:
        """Remove what has a name of the archive, since the views would ask it. Raises `QueryError`."""
        for kind, name in self._execute(_TEMPORARY).fetchall():
            if name.lower() in self._names:
                self._execute(f"DROP {kind} temp.{quoted(name)}")
                raise QueryError(f"{name} is a name of the archive: use another name")

    def _execute(self, statement: str | duckdb.Statement) -> duckdb.DuckDBPyConnection:
        return self._cancellable(lambda: self._connection.execute(statement))

    def _fetched(self, result: duckdb.DuckDBPyConnection) -> Iterator[Row]:
        while rows := self._cancellable(lambda: result.fetchmany(BATCH)):
            yield from rows

    def _cancellable(self, call: Callable[[], T]) -> T:
        """The result of a call that Ctrl-C cancels. DuckDB by itself may notice a signal late or never."""
        try:
            future = self._thread.submit(call)
            while not wait([future], LOOK_SECONDS).done:
                pass  # Python may notice a signal only after the wait that it comes just before
            with _query_errors():
                return future.result()
        except KeyboardInterrupt:
            self._cancel()
            raise

    def _cancel(self) -> None:
        """Cancel what runs on the thread, and wait until it has ended."""
        idle = self._thread.submit(lambda: None)
        while not idle.done():  # to interrupt a query before it starts has no effect
            self._connection.interrupt()
            wait([idle], LOOK_SECONDS)


@contextmanager
def _query_errors() -> Iterator[None]:
    """Raise DuckDB's errors as `QueryError`, with what to do if it is known."""
    try:
        yield
    except duckdb.PermissionException as error:
        raise QueryError(f"{error}\n{_FILES}") from error
    except duckdb.Error as error:
        raise QueryError(_READ_ONLY if _REFUSED_CHANGE.search(str(error)) else str(error)) from error


def _kinds(statement: duckdb.Statement) -> set[str]:
    """What a statement does, as far as it may be refused."""
    kinds = {statement.type.name}
    if statement.type in _WITH_A_STATEMENT:
        return kinds | (words_of(statement.query, duckdb.token_type.keyword) & _WITH_FILES)
    if statement.type == duckdb.StatementType.SET:
        return kinds | (words_of(statement.query, duckdb.token_type.keyword) & {"USE"})
    return kinds


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
