"""Every command that is shown somewhere is one that can be given."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from deployment.functions import ROOT
from operations.cli import app

PROGRAM: Any = typer.main.get_command(app)  # of typer's own copy of click
SHOWN = re.compile(r"^ *(?:\.venv/bin/)?python -m operations (.+)$", re.MULTILINE)


def commands(command: Any = PROGRAM) -> list[Any]:
    below = getattr(command, "commands", None)
    return [command] if below is None else [each for sub in below.values() for each in commands(sub)]


def examples() -> list[str]:
    docs = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    helps = [command.epilog or "" for command in commands()]
    return sorted({example for text in [docs, *helps] for example in SHOWN.findall(text)} - {"--help"})


def parse(arguments: list[str]) -> None:
    command = PROGRAM
    while hasattr(command, "commands"):
        command = command.commands[arguments.pop(0)]
    command.make_context(command.name, arguments)


@pytest.mark.parametrize("example", examples())
def test_an_example_can_be_given(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "line.json").touch()
    words = shlex.split(example, comments=True)
    end = next((words.index(word) for word in words if word in {"|", ">"}), len(words))
    parse(words[:end])


def test_an_option_that_is_none_is_seen() -> None:
    with pytest.raises(Exception, match="No such option: --no-such-option"):
        parse(["redrive", "--no-such-option"])


@pytest.mark.parametrize("command", commands(), ids=lambda command: str(command.name))
def test_every_command_teaches_with_an_example_and_tells_its_exit_codes(command: Any) -> None:
    assert command.help
    assert command.epilog is not None
    assert "Examples:" in command.epilog
    assert "Exit codes: 0 done" in command.epilog
