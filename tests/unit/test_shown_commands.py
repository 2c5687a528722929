"""Every command that is shown somewhere can be given."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.shown_commands import PROGRAMS, commands, parse, shown_commands

SHOWN = shown_commands()


@pytest.mark.parametrize("command", SHOWN)
def test_a_shown_command_can_be_given(command: str, tmp_path: Path) -> None:
    parse(command, tmp_path)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_is_shown(program: str) -> None:
    assert any(command.startswith(f"{program} ") for command in SHOWN)


@pytest.mark.parametrize(
    "command", ["analytics sql", "costs", "deployment destroy", "operations redrive", "operations quarantine drop"]
)
def test_an_unknown_option_would_be_noticed(command: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="No such option: --no-such-option"):
        parse(f"{command} --no-such-option", tmp_path)


def test_an_unknown_command_would_be_noticed(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        parse("operations quarantine restore --help", tmp_path)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_calls_a_program_as_a_person_can(program: str) -> None:
    texts = [
        text
        for command in commands(program)
        for text in (command.help, *(each.help for each in command.params if hasattr(each, "help")))
    ]
    packages = "|".join(PROGRAMS)
    assert [text for text in texts if text and re.search(rf"`(?:{packages}) \w", text)] == []
