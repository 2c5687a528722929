"""Asks before a stage is changed, and for the name of the stage before something that stops or deletes it."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import dataclass

import typer

from deployment.errors import ParameterError
from terminal.output import echo


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Who confirms what happens to a stage: the options of the command line, or a person at a terminal."""

    stage: str
    name: str | None = None
    """The name of the stage, from the command line. It confirms everything."""
    yes: bool = False
    """Whether the command line confirms ordinary changes."""

    def ask_before(self, stopping: Collection[str], question: str) -> None:
        """Ask for the name of the stage if something stops its stream. Otherwise ask the question, unless it is empty.

        Without a terminal, nothing asks the question. Raises `typer.Abort`, or `ParameterError` as `ask_for_name`.
        """
        if stopping:
            self.ask_for_name(f"stop the stream of the stage {self.stage}")
        elif question and not (self.yes or self.name) and sys.stdin.isatty():
            typer.confirm(question, abort=True, err=True)

    def ask_for_name(self, action: str) -> None:
        """Ask for the name of the stage. Raises `ParameterError` if it is not given, also without a terminal.

        `action` completes a sentence, such as `delete the stage prod`.
        """
        name = self.name
        if name is None and not sys.stdin.isatty():
            raise ParameterError(
                f"to {action}, confirm it by the name of the stage, since there is no terminal to ask on: "
                f"--confirm {self.stage}, or YES={self.stage} with make. Nothing was changed"
            )
        if name is None:
            echo(f"To {action}, type the name of the stage.", err=True)
            name = typer.prompt("Stage", err=True, default="", show_default=False).strip()
        if name != self.stage:
            raise ParameterError(f"the stage is {self.stage}, and not {name or 'empty'}. Nothing was changed")

    def ask_to_adopt(self, found: Collection[str], *, dry_run: bool) -> bool:
        """Whether a new stage adopts what an earlier one left. Raises `ParameterError` if there is nobody to ask."""
        echo(f"an earlier stage {self.stage} left: {' '.join(found)}", err=True)
        if dry_run:
            echo("the deployment asks whether to adopt them; --adopt / ADOPT answers", err=True)
            return False
        if not sys.stdin.isatty():
            raise ParameterError(
                "say what becomes of them: --adopt found or ADOPT=found adopts them, and --adopt new or ADOPT=new "
                "leaves them as they are and creates new ones. Nothing was changed"
            )
        return typer.confirm("Adopt them? Otherwise the stage gets new ones, and these stay as they are.", err=True)
