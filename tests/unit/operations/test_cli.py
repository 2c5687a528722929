"""The help of the operator's commands."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.shown_commands import commands


@pytest.mark.parametrize("command", commands("operations"), ids=lambda command: str(command.name))
def test_every_command_has_a_description_examples_and_exit_codes(command: Any) -> None:
    assert command.help
    assert command.epilog is not None
    assert "Examples:" in command.epilog
    assert "Exit codes: 0 done" in command.epilog
