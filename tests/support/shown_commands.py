"""The commands that documents, docstrings and help texts show, and a check that they can be given."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from analytics.cli import app as analytics
from costs.cli import app as costs
from dashboard_server.cli import app as dashboard_server
from deployment.cli import app as deployment
from operations.cli import app as operations
from producer_service.cli import app as producer_service
from replica.cli import app as replica
from smoke.cli import app as smoke
from stockstream.catalog import COMMANDS
from workspace.places import ROOT

# Typer brings a copy of click without types.
PROGRAMS: dict[str, Any] = {
    name: typer.main.get_command(app)
    for name, app in {
        "analytics": analytics,
        "costs": costs,
        "dashboard_server": dashboard_server,
        "deployment": deployment,
        "operations": operations,
        "producer_service": producer_service,
        "replica": replica,
        "smoke": smoke,
    }.items()
}
_PROGRAM = rf"python -m (?:{'|'.join(PROGRAMS)})\b"
_SHOWN = re.compile(
    rf"(?P<line>^[ $]*(?:\.venv/bin/)?)(?P<first>{_PROGRAM}[^`\n]*|stockstream (?:{'|'.join(COMMANDS)})\b[^`\n]*)"
    rf"|(?P<inside>{_PROGRAM}[^`\n]*|(?<=`)stockstream [^`\n]+|(?<=\.venv/bin/)stockstream [^`\n]+)",
    re.MULTILINE,
)
"""A command on a line of its own, or one inside a sentence. `stockstream` is also the name of the project."""
_END = {"|", ">", "…", "..."}
"""Words that end a command."""


def commands(program: str) -> list[Any]:
    """The commands of a program, without groups of commands."""

    def below(command: Any) -> list[Any]:
        children = getattr(command, "commands", None)
        return [command] if children is None else [each for child in children.values() for each in below(child)]

    return below(PROGRAMS[program])


def shown_commands() -> list[str]:
    """Every command that is shown anywhere, without `python -m`.

    A command inside a sentence may be mentioned without its arguments. It then ends with `--help`.
    """
    found = set()
    for text in _texts():
        for match in _SHOWN.finditer(text):
            words = shlex.split((match["first"] or match["inside"]).removeprefix("python -m "), comments=True)
            words = words[: next((index for index, word in enumerate(words) if word in _END), len(words))]
            is_mention = match["line"] is None and not any(word.startswith("-") for word in words)
            found.add(shlex.join([*words, "--help"] if is_mention else words))
    return sorted(found)


def parse(command: str, directory: Path) -> None:
    """Parse a command without running it. Files that have to exist are made in the directory. Raises what click raises.

    With `--help`, only the command has to exist.
    """
    program, *words = shlex.split(command)
    if program == "stockstream" and words[0].startswith("-"):
        return
    if program == "stockstream":
        entry = COMMANDS[words[0]]
        program, words = entry.package, words[entry.is_whole_program :]
    parsed = PROGRAMS[program]
    while words and hasattr(parsed, "commands") and not words[0].startswith("-"):
        parsed = parsed.commands[words.pop(0)]
    if "--help" in words:
        return
    for parameter in parsed.params:
        descriptor = getattr(parameter, "type_descriptor", None)  # click's own `--help` has none
        if descriptor is not None and descriptor.parameter_info.exists:
            for option in set(parameter.opts) & set(words):
                name = words.index(option) + 1
                words[name] = str(directory / Path(words[name]).name)
                Path(words[name]).touch()
    parsed.make_context(parsed.name, words)


def _texts() -> Iterator[str]:
    for path in {*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")} - {ROOT / "CHANGELOG.md"}:  # which names old commands
        yield path.read_text(encoding="utf-8")
    for program in PROGRAMS:
        for command in commands(program):
            yield from filter(None, (command.help, command.epilog))
    for folder in [path.parent for path in ROOT.glob("*/__init__.py")] + [ROOT / "benchmarks", ROOT / "tests"]:
        for path in folder.rglob("*.py"):
            source = path.read_text(encoding="utf-8")
            if "python -m" in source or "`stockstream " in source:  # parsing all files would take seconds
                yield from _docstrings(ast.parse(source))


def _docstrings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
