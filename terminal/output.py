"""How the command lines print. Text goes through `printable`, and only `--raw` options print bytes as they are."""

from __future__ import annotations

import typer

from terminal.text import printable, printable_lines


def echo(text: str, *, err: bool = False) -> None:
    """Print one line to stdout, or to stderr."""
    typer.echo(printable(text), err=err)


def echo_error(message: object) -> None:
    """Print an error to stderr. It may have several lines."""
    typer.echo(printable_lines(f"error: {message}"), err=True)
