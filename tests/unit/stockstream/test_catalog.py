"""The list of the one command is that of the programs, which it does not load."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from stockstream.catalog import COMMANDS
from stockstream.cli import app, command_of
from terminal.program import VERSION
from tests.support.shown_commands import PROGRAMS

LEFT_OUT = {("analytics", "templates")}
"""Commands that change files of this repository."""
WHOLE_PROGRAMS = {"costs": "bill", "dashboard_server": "dashboard", "smoke": "smoke"}
"""Programs that have no commands of their own, and their names in the one command."""


def test_every_command_of_every_program_is_a_command() -> None:
    of_programs = {
        (package, name)
        for package, program in PROGRAMS.items()
        for name in getattr(program, "commands", {WHOLE_PROGRAMS.get(package): None})
    }
    assert {(entry.package, name) for name, entry in COMMANDS.items()} == of_programs - LEFT_OUT


@pytest.mark.parametrize("name", COMMANDS)
def test_a_summary_is_how_the_help_of_the_command_begins(name: str) -> None:
    command: Any = command_of(name)
    assert " ".join(command.help.split()).startswith(COMMANDS[name].summary.removesuffix("."))


@pytest.mark.parametrize("program", ["stockstream", *PROGRAMS])
def test_every_program_knows_the_version(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    command: Any = typer.main.get_command(app) if program == "stockstream" else PROGRAMS[program]
    assert command.main(["--version"], prog_name=program, standalone_mode=False) == 0
    assert capsys.readouterr().out == f"stockstream {VERSION}\n"
