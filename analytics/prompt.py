"""The prompt of `sql`: statements, names of saved queries, and a few commands that begin with a backslash."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

from rich.console import Console

from analytics import formatting as answers
from analytics.catalog import Catalog
from analytics.duckdb_engine import Answer, Engine, QueryError
from analytics.formatting import Form

HELP = r"""\d            tables, views and saved queries
\d NAME       the columns of a table or view, the text of a saved query
\q            leave (so does Ctrl-D)
a name        runs the saved query of that name
anything else is SQL, up to a semicolon"""


class Session:
    """Asks an engine and prints what it answers."""

    def __init__(self, catalog: Catalog, engine: Engine, console: Console, form: Form) -> None:
        self._catalog, self._engine, self._console, self._form = catalog, engine, console, form

    def ask(self, text: str) -> None:
        """Run SQL, the name of a saved query or a command, and print the answer. Raises `QueryError`."""
        text = text.strip().removesuffix(";").strip()
        if text.startswith("\\"):
            self._command(text)
            return
        saved = self._catalog.query(text)
        if saved is None and text.replace("-", "_").isidentifier():
            names = ", ".join(query.name for query in self._catalog.queries)
            raise QueryError(rf"there is no saved query {text}; there are {names} (\d tells more)")
        self._print(self._engine.run(text if saved is None else saved.select))

    def prompt(self) -> None:
        """Ask what is typed, or comes through a pipe, until it ends."""
        interactive = sys.stdin.isatty()
        if interactive:
            with suppress(ImportError):  # not on every platform; the prompt then has no history
                import readline  # noqa: F401, PLC0415  (importing it is what gives `input` a history)
            self._console.print(HELP, markup=False, highlight=False)
        for statement in _statements(_typed if interactive else _piped):
            if statement == "\\q":
                return
            try:
                self.ask(statement)
            except QueryError as error:
                self._console.print(f"error: {error}", style="red", markup=False, highlight=False)

    def _command(self, text: str) -> None:
        name, _, argument = text.partition(" ")
        if name != "\\d":
            self._console.print(HELP, markup=False, highlight=False)
        elif not argument:
            self._print(self._listing())
        elif saved := self._catalog.query(argument):
            self._console.print(saved.select, markup=False, highlight=False)
        else:
            self._print(self._engine.columns(argument.strip()))

    def _listing(self) -> Answer:
        rows = [("table", self._catalog.table.name, "the lines of the archive as they stand there, of every kind")]
        rows += [("view", view.name, view.description) for view in self._catalog.views]
        rows += [("saved query", query.name, query.description) for query in self._catalog.queries]
        return Answer(("kind", "name", "description"), ("VARCHAR",) * 3, tuple(rows))

    def _print(self, answer: Answer) -> None:
        match self._form:
            case "json":
                sys.stdout.write(answers.as_json(answer) + "\n")
            case "csv":
                sys.stdout.write(answers.as_csv(answer) + "\n")
            case "table":
                self._console.print(answers.table(answer))
                self._console.print(
                    f"{len(answer.rows):,} row{'' if len(answer.rows) == 1 else 's'}", style="dim", highlight=False
                )


def _statements(line_after: Callable[[str], str]) -> Iterator[str]:
    """Statements out of lines: a command or a single word ends with its line, SQL with a semicolon or the input."""
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
        whole = "\n".join(parts).strip()
        if whole.startswith("\\") or whole.endswith(";") or len(whole.split()) == 1:
            parts = []
            yield whole


def _typed(prompt: str) -> str:
    return input(prompt)


def _piped(_prompt: str) -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")
