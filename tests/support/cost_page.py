"""The console blocks of docs/cost.md. `python -m tests.support.cost_page` writes them again."""

from __future__ import annotations

import re
import shlex

from typer.testing import CliRunner

from costs.cli import app
from deployment.functions import ROOT

PAGE = ROOT / "docs" / "cost.md"
COMMAND = "$ stockstream bill "
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


def with_output(block: str) -> str:
    """The commands of a block, each followed by what it prints now."""
    commands = [line for line in block.splitlines() if line.startswith(COMMAND)]
    return "".join(f"{command}\n{_output_of(command)}" for command in commands)


def _output_of(command: str) -> str:
    result = CliRunner().invoke(app, shlex.split(command.removeprefix(COMMAND)))
    assert result.exit_code == 0, result.output
    return "".join(f"{line.rstrip()}\n" for line in result.stdout.splitlines())


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BLOCK.sub(lambda found: f"```console\n{with_output(found[1])}```", page), encoding="utf-8")
