"""The option `--version`, which every program has."""

from __future__ import annotations

from typing import Annotated

import typer

from terminal.output import echo
from terminal.program import ONE_COMMAND, VERSION


def _print_version(wanted: bool) -> None:  # noqa: FBT001  (typer passes the value by position)
    if wanted:
        echo(f"{ONE_COMMAND} {VERSION}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]


def options(version: VersionOption = False) -> None:  # noqa: FBT002  (an option, by name)
    """Accept the options of a program that stand before its commands."""
