"""The prompt of `sql`. It takes SQL, names of saved queries, and a few commands that start with a backslash."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

from rich.console import Console
from rich.text import Text

from analytics import formatting
from analytics.catalog import Catalog
from analytics.duckdb_engine import Engine, QueryError
from analytics.formatting import OutputFormat
from analytics.result import Result
from terminal import printable_lines

HELP = r"""\d            list the table, the views and the saved queries
\d NAME       show the columns of a table or view, or the SQL of a saved query
\q            quit (or press Ctrl-D)
NAME          run the saved query with this name
Everything else is SQL. End it with a semicolon."""

TABLE_DESCRIPTION = "Every line of the archive as it is stored: quotes, heartbeats and refused lines."


class Session:
    """Runs queries and prints their results."""

    def __init__(self, catalog: Catalog, engine: Engine, console: Console, output_format: OutputFormat) -> None:
        self._catalog, self._engine, self._console = catalog, engine, console
        self._output_format = output_format

    def run(self, text: str) -> None:
        """Run SQL, a saved query by its name, or a command, and print the result. Raises `QueryError`."""
        text = text.strip().removesuffix(";").strip()
        if text.startswith("\\"):
            self._command(text)
            return
        saved = self._catalog.query(text)
        if saved is None and text.replace("-", "_").isidentifier():
            names = ", ".join(query.name for query in self._catalog.queries)
            raise QueryError(rf"there is no saved query {text}. The saved queries are {names}. \d describes them")
        self._print(self._engine.run(text if saved is None else saved.select))

    def run_prompt(self) -> None:
        r"""Run typed or piped statements until the input ends or `\q`."""
        interactive = sys.stdin.isatty()
        if interactive:
            with suppress(ImportError):  # some platforms lack it, and the prompt then has no history
                import readline  # noqa: F401, PLC0415  (importing it gives `input` a history)
            self._console.print(HELP, markup=False, highlight=False)
        for statement in _statements(_typed if interactive else _piped):
            if statement == "\\q":
                return
            try:
                self.run(statement)
            except QueryError as error:
                self.print_error(error)

    def print_error(self, error: QueryError) -> None:
        """Print why a statement failed."""
        self._console.print(Text(printable_lines(f"error: {error}"), style="red"))

    def _command(self, text: str) -> None:
        name, _, argument = text.partition(" ")
        if name != "\\d":
            self._console.print(HELP, markup=False, highlight=False)
        elif not argument:
            self._print(self._contents())
        elif saved := self._catalog.query(argument):
            self._console.print(saved.select, markup=False, highlight=False)
        else:
            self._print(self._engine.columns(argument.strip()))

    def _contents(self) -> Result:
        rows = [("table", self._catalog.table.name, TABLE_DESCRIPTION)]
        rows += [("view", view.name, view.description) for view in self._catalog.views]
        rows += [("saved query", query.name, query.description) for query in self._catalog.queries]
        return Result(("kind", "name", "description"), ("VARCHAR",) * 3, tuple(rows))

    def _print(self, result: Result) -> None:
        match self._output_format:
            case "json":
                sys.stdout.write(formatting.as_json(result) + "\n")
            case "csv":
                sys.stdout.write(formatting.as_csv(result) + "\n")
            case "table":
                self._console.print(formatting.table(result))
                self._console.print(
                    f"{len(result.rows):,} row{'' if len(result.rows) == 1 else 's'}", style="dim", highlight=False
                )


def _statements(line_after: Callable[[str], str]) -> Iterator[str]:
    """Split lines into statements. A command or a single word is a line. SQL ends with a semicolon or the input."""
    parts: list[str] = []
    while True:
        try:
            line = line_after("   ...> " if parts else "stockstream> ")
        except KeyboardInterrupt:
            sys.stdout.write("\n")
            parts = []
            continue
        except EOFError:
            if parts:
                yield "\n".join(parts)
            return
        if not (parts or line.strip()):
            continue
        parts.append(line)
        statement = "\n".join(parts).strip()
        if statement.startswith("\\") or statement.endswith(";") or len(statement.split()) == 1:
            parts = []
            yield statement


def _typed(prompt: str) -> str:
    return input(prompt)


def _piped(_prompt: str) -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")
