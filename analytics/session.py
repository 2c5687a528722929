"""Runs statements over an archive and prints their results."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

import duckdb

from analytics import formatting, local_tables
from analytics.catalog import Catalog
from analytics.duckdb_engine import Engine, QueryError
from analytics.formatting import OutputFormat
from analytics.pager import Screen, write
from analytics.result import OpenResult, Result
from analytics.statements import Statement, is_word, words_of
from terminal.output import echo

HELP = r"""SELECT …;       ask by SQL; a statement may have several lines, and ends with ;
NAME            run the saved query with this name
\d              list the tables, the views and the saved queries
\d NAME         show the columns of a table or view, or a saved query's SQL
help, ?         show this list
exit, quit, \q  leave, as Ctrl-D does
Ctrl-C          drop what you have typed, or cancel the query that runs

The archive is read-only. CREATE TEMP TABLE makes a table of your own until you
leave. Options of the command: --csv and --json print results in these formats,
and with --allow-files, COPY quotes TO 'quotes.parquet'; writes Parquet. With
make, options are in SQL_ARGS, such as SQL_ARGS=--csv."""

TABLE_DESCRIPTION = "Every line of the archive as it is stored: quotes, heartbeats, splits, dividends, refused lines."
WORDS = ("help", "?", "exit", "quit")
"""What the prompt knows beside SQL, names and commands with a backslash."""
_HELP = ("help", "?", "\\?", "\\h", "\\help")
_LEAVE = ("exit", "quit", "\\q", "\\quit", "\\exit")


class Session:
    """Runs queries and prints their results."""

    def __init__(self, catalog: Catalog, engine: Engine, screen: Screen, output_format: OutputFormat) -> None:
        self._catalog, self._engine, self._screen = catalog, engine, screen
        self._output_format = output_format
        self._has_printed = False

    @property
    def words(self) -> list[str]:
        """What a prompt can complete: the names of tables, views, columns and saved queries, and its own words."""
        queries = (query.name for query in self._catalog.queries)
        return [*self._tables, *queries, *self._engine.all_columns(), *WORDS]

    @property
    def _tables(self) -> list[str]:
        """The names of the tables and views."""
        return [self._catalog.table.name, local_tables.ALERTS.name, *(view.name for view in self._catalog.views)]

    def run_all(self, statements: Sequence[Statement]) -> bool:
        """Run statements until one fails or leaves, and return whether to go on. Raises `QueryError`.

        If there are several, the error says which one failed, and how many did not run.
        """
        for number, statement in enumerate(statements, start=1):
            try:
                if not self.run(statement.text):
                    return False
            except QueryError as error:
                if len(statements) == 1:
                    raise
                where = f" on line {statement.line}" if statements[-1].line > 1 else ""
                left = len(statements) - number
                rest = f"\n{left} more statement{'' if left == 1 else 's'} did not run" if left else ""
                raise QueryError(f"statement {number} of {len(statements)}{where}: {error}{rest}") from error
        return True

    def run(self, text: str) -> bool:
        """Run one statement, a saved query by its name, or a command, and print the result. Raises `QueryError`.

        Returns whether to go on.
        """
        text = text.strip().rstrip("; \n")
        if text.lower() in _LEAVE:
            return False
        if text.lower() in _HELP:
            write(HELP.splitlines())
        elif text.startswith("\\"):
            self._describe(text)
        elif saved := self._catalog.query(text):
            self._print(self._engine.open(saved.select))
        elif is_word(text):
            raise QueryError(self._unknown(text))
        else:
            self._note_what_lacks(text)
            self._print(self._engine.open(text))
        return True

    def _describe(self, text: str) -> None:
        command, _, name = text.partition(" ")
        name = name.strip()
        if command != "\\d":
            raise QueryError(f"there is no command {command}: `help` lists the commands")
        if not name:
            self._list(self._contents())
        elif saved := self._catalog.query(name):
            write(saved.select.splitlines())
        else:
            self._list(self._columns(name))

    def _unknown(self, name: str) -> str:
        if name.lower() in self._tables:
            return f"{name} is no saved query, but a table or view: ask `FROM {name} LIMIT 10;`, or `\\d {name}`"
        queries = ", ".join(query.name for query in self._catalog.queries)
        return f"there is no saved query {name}. The saved queries are {queries}. `\\d` describes them"

    def _contents(self) -> Result:
        rows = [("table", self._catalog.table.name, TABLE_DESCRIPTION)]
        rows.append(("table", local_tables.ALERTS.name, local_tables.ALERTS.description))
        rows += [("view", view.name, view.description) for view in self._catalog.views]
        rows += [("saved query", query.name, query.description) for query in self._catalog.queries]
        return Result(("kind", "name", "description"), ("VARCHAR",) * 3, tuple(rows))

    def _columns(self, name: str) -> Result:
        described = {table.name: table.columns for table in (self._catalog.table, *local_tables.TABLES)}
        comments = {column.name: column.comment for column in described.get(name.lower(), ())}
        rows = [(column, kind, comments.get(column, "")) for column, kind in self._engine.columns(name).rows]
        return Result(("column", "type", "description"), ("VARCHAR",) * 3, tuple(rows))

    def _note_what_lacks(self, text: str) -> None:
        named = words_of(text, duckdb.token_type.identifier)
        if lacking := [name for name in sorted(self._engine.lacking) if name.upper() in named]:
            echo(f"note: there are no {' and '.join(lacking)} here: only a demo keeps them", err=True)

    def _list(self, result: Result) -> None:
        if self._output_format == "table":
            write(formatting.listing(result, shutil.get_terminal_size().columns))
        else:
            self._print(result)

    def _print(self, result: OpenResult) -> None:
        if self._output_format == "table":
            self._print_table(result)
        elif result.columns:
            if self._output_format == "csv" and self._has_printed:
                sys.stdout.write("\n")  # the next header
            write(formatting.as_csv(result) if self._output_format == "csv" else formatting.as_json(result))
            self._has_printed = True

    def _print_table(self, result: OpenResult) -> None:
        if result.columns:
            shown = formatting.texts(result)
            self._screen.show(formatting.table(shown), formatting.records(shown))
        else:
            write(["done" if result.written is None else f"done: {formatting.count(result.written)}"])
