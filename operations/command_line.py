"""What all commands share: options, exit codes, error messages and progress bars."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from configuration import ConfigurationError
from operations import demo_stage, outputs
from operations.aws import client
from operations.errors import OperationsError, WrongUsage
from operations.outputs import Outputs
from operations.rebuild_hints import RebuildHints
from operations.stage_place import check_place
from terminal.output import echo, echo_error
from terminal.program import called
from workspace.places import ROOT

NOT_DONE = 1
WRONG_USAGE = 2
INTERRUPTED = 130
EXIT_CODES = (
    "Exit codes: 0 done; 1 something could not be done; 2 wrong usage; 130 interrupted. What a command has not done is "
    "where it was before."
)

DEFAULT_PREFIX = "stockstream"
DEFAULT_STAGE = "dev"
FIRST_YEAR, LAST_YEAR = 1900, 2999
"""The years of the days that options take. Python cannot compute with days at the ends of its own calendar."""
STAGE_FILES = ROOT / "infra" / "stages"
"""The folder of the stages' files. One that names its account or region is checked before its stage is used."""
StackPrefixOption = Annotated[str, typer.Option("--stack-prefix", help="The first part of the stacks' names.")]
StageOption = Annotated[
    str,
    typer.Option(
        "--stage",
        help="The second part of the stacks' names. `demo` is the demo that runs on this machine; it needs no settings "
        "of the AWS SDK.",
    ),
]
OutputsFileOption = Annotated[
    Path | None,
    typer.Option(
        "--outputs-file",
        dir_okay=False,
        help=f"Read the names of the resources from this file, which `{called('deployment')} deploy --outputs-file` "
        "wrote. By default, they are read from the stacks.",
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be done. Change nothing.")]

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def epilog(*examples: str) -> str:
    """The end of a command's help: examples, then the exit codes."""
    lines = "\n".join(f"  {called('operations')} {example}" for example in examples)
    return f"\b\nExamples:\n{lines}\n\n{EXIT_CODES}"


def outputs_of(prefix: str, stage: str, file: Path | None) -> Outputs:
    """The outputs of the deployment that the options name. Raises `WrongUsage`.

    If it is a demo, the AWS SDK reaches that demo from now on.
    """
    if file is not None:
        return outputs.read_file(file)
    if prefix == DEFAULT_PREFIX and demo_stage.is_of_a_demo(stage):
        record = demo_stage.running_demo(stage)
        demo_stage.lead_sdk_to(record)
        return record.outputs
    check_place(STAGE_FILES / f"{stage}.env", partial(client, "sts"))
    return outputs.read_stacks(client("cloudformation"), f"{prefix}-{stage}")


def day_of(text: str) -> datetime:
    """The midnight of a day like 2026-11-27, for the parser of an option. Raises `BadParameter`."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007  (a day, without a zone)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day like 2026-11-27") from None
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise typer.BadParameter(f"{text!r} is not a day of the years {FIRST_YEAR} to {LAST_YEAR}")
    return day


@contextmanager
def reported_errors() -> Iterator[None]:
    """End with an exit code and a message for what a person can fix. A bug keeps its traceback."""
    try:
        yield
    except (OperationsError, ConfigurationError) as error:
        echo_error(error)
        raise typer.Exit(WRONG_USAGE if isinstance(error, WrongUsage) else NOT_DONE) from error
    except KeyboardInterrupt as error:
        say("interrupted: what was not finished is where it was before; run the command again to finish it")
        raise typer.Exit(INTERRUPTED) from error


def say(text: str) -> None:
    """Print a line on stderr for the person at the terminal. Only results go to stdout."""
    echo(text, err=True)


def target_options(prefix: str, stage: str, file: Path | None) -> str:
    """The options that lead another command to the same deployment."""
    given = (
        ("--stack-prefix", prefix if prefix != DEFAULT_PREFIX else None),
        ("--stage", stage if stage != DEFAULT_STAGE else None),
        ("--outputs-file", file),
    )
    return "".join(f" {name} {shlex.quote(str(value))}" for name, value in given if value is not None)


def say_rebuilds(hints: RebuildHints, now: datetime, target: str) -> None:
    """Print the commands that correct the bars after quotes were put back at `now`.

    `target` are the options that name the deployment.
    """
    for command in hints.commands(now, target):
        say(f"bars that were closed before did not change; an hour after their minutes, correct them: {command}")


class _RateColumn(ProgressColumn):
    """How many parts are done in a second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.{0 if task.speed >= 10 else 1}f} a second")  # noqa: PLR2004


@contextmanager
def progress(step: str, total: int | None, *, shows_rate: bool = False) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on stderr. Call the function that it yields with the number of newly done parts.

    `total` is the number of parts, or None if it is unknown. With `shows_rate`, it also shows the parts a second.
    """
    rate = (_RateColumn(),) if shows_rate else ()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        *rate,
        TimeRemainingColumn(),
    )
    # With redirection, rich would write to stderr what is printed to stdout meanwhile.
    with Progress(
        *columns,
        console=err,
        transient=True,
        disable=not err.is_terminal,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bar:
        task = bar.add_task(step, total=total)
        yield lambda parts: bar.advance(task, parts)
