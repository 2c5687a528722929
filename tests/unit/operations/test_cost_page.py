"""docs/cost.md shows what the commands in it print."""

from __future__ import annotations

import re
import shlex

from typer.testing import CliRunner

from operations.cli import app
from replica.package import ROOT

PAGE = ROOT / "docs" / "cost.md"
COMMAND = "$ python -m operations "


def test_every_block_is_what_its_commands_print() -> None:
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    assert len(blocks) >= 5
    for block in blocks:
        commands = [line for line in block.splitlines() if line.startswith(COMMAND)]
        told = "".join(f"{command}\n{output_of(command)}" for command in commands)
        assert block == told, f"put this into docs/cost.md:\n{told}"


def output_of(command: str) -> str:
    result = CliRunner().invoke(app, shlex.split(command.removeprefix(COMMAND)))
    assert result.exit_code == 0, result.output
    return "".join(f"{line.rstrip()}\n" for line in result.stdout.splitlines())
