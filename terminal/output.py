"""How the command lines print: harmless to the terminal, and without the passwords of URLs."""

from __future__ import annotations

import typer

from terminal.masking import masked
from terminal.text import printable, printable_lines


def echo(text: str, *, err: bool = False) -> None:
    """Print one line to stdout, or to stderr."""
    typer.echo(printable(masked(text)), err=err)


def echo_error(message: object) -> None:
    """Print an error to stderr. It may have several lines."""
    typer.echo(printable_lines(masked(f"error: {message}")), err=True)
