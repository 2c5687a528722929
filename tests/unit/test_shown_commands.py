"""Every command that is shown somewhere can be given."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.shown_commands import PROGRAMS, parse, shown_commands

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
