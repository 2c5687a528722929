"""The prompt of `sql`. It reads statements from a terminal and runs each line as it is completed."""

from __future__ import annotations

import sys
from pathlib import Path

from analytics.duckdb_engine import QueryError
from analytics.history import History
from analytics.session import WORDS, Session
from analytics.statements import Splitter
from terminal.output import echo, echo_error

START = r"""Ask by SQL, and end each statement with a semicolon.
\d lists what there is to ask. help shows more. exit or Ctrl-D leaves."""


def run_prompt(session: Session, history_file: Path) -> None:
    """Run what a person types, until they leave."""
    for line in START.splitlines():
        echo(line)
    splitter = Splitter()
    with History(history_file, session.words) as history:
        while True:
            is_running = False
            try:
                if not splitter.is_pending:
                    splitter = Splitter()
                typed = _typed("   ...> " if splitter.is_pending else "stockstream> ")
                history.save()
                if splitter.is_pending and _is_command(typed):
                    echo("this is within a statement: end it with a semicolon, or drop it with Ctrl-C")
                    continue
                is_running = True
                # A terminal may paste several lines as one.
                statements = [statement for line in typed.split("\n") for statement in splitter.feed(line)]
                if not session.run_all(statements):
                    return
            except QueryError as error:
                echo_error(error)
            except KeyboardInterrupt:
                splitter.drop()
                echo("")
                if is_running:
                    echo("cancelled")
            except EOFError:
                echo("")
                return


def _is_command(text: str) -> bool:
    return text.startswith("\\") or text.strip("; ").lower() in WORDS


def _typed(prompt: str) -> str:
    if sys.stdout.isatty():
        return input(prompt)
    sys.stderr.write(prompt)  # the output is a file of results
    sys.stderr.flush()
    return input()
