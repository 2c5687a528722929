"""The help, the version and the shell completion of the one command."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from stockstream.catalog import COMMANDS, SECTIONS
from terminal.version import options

_NAME_WIDTH = 12


class Commands(TyperGroup):
    """The list of all commands. It loads the program of a command only when its options are asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in COMMANDS.items():
            self.add_command(TyperCommand(name, help=entry.summary))

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  (the signature is typer's)
        """Write the commands with their summaries, section by section."""
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.summary) for name, entry in entries.items()], col_max=_NAME_WIDTH)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The name, the command with all its options, and the rest of the arguments."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else command_of(name), rest


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Poll market quotes, stream them through Kinesis, and store them in DynamoDB and S3.",
    epilog="`stockstream COMMAND --help` describes a command.",
)
app.callback()(options)


def command_of(name: str) -> Any:
    """A command of the list, from its program."""
    entry = COMMANDS[name]
    command: Any = typer.main.get_command(importlib.import_module(f"{entry.package}.cli").app)
    return command if entry.is_whole_program else command.commands[name]
