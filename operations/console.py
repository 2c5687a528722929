"""What every command shares: where the deployment is, exit codes, progress bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from operations import outputs
from operations.aws import client
from operations.errors import OperationsError, WrongUsage
from operations.outputs import Outputs

NOT_DONE = 1
WRONG_USAGE = 2
INTERRUPTED = 130
EXIT_CODES = (
    "Exit codes: 0 done; 1 something could not be done and is still where it was; 2 wrong usage; 130 interrupted, and "
    "what was not finished is still where it was."
)

StackPrefixOption = Annotated[str, typer.Option("--stack-prefix", help="The first part of the stacks' names.")]
StageOption = Annotated[str, typer.Option("--stage", help="The second part of the stacks' names.")]
OutputsFileOption = Annotated[
    Path | None,
    typer.Option(
        "--outputs-file", dir_okay=False, help="What `deployment deploy` wrote there, instead of asking the stacks."
    ),
]

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def epilog(*examples: str) -> str:
    """The end of a command's help: examples, then the exit codes."""
    lines = "\n".join(f"  python -m operations {example}" for example in examples)
    return f"\b\nExamples:\n{lines}\n\n{EXIT_CODES}"


def outputs_of(prefix: str, stage: str, file: Path | None) -> Outputs:
    """Where the resources are. Raises `WrongUsage`."""
    if file is not None:
        return outputs.of_file(file)
    return outputs.of_stacks(client("cloudformation"), f"{prefix}-{stage}")


@contextmanager
def errors_told() -> Iterator[None]:
    """End with a message and an exit code for what a person can put right; with a trace for what is a bug of ours."""
    try:
        yield
    except OperationsError as error:
        say(f"error: {error}")
        raise typer.Exit(WRONG_USAGE if isinstance(error, WrongUsage) else NOT_DONE) from error
    except KeyboardInterrupt as error:
        say("interrupted: what was not finished is still where it was; run it again")
        raise typer.Exit(INTERRUPTED) from error


def say(text: str) -> None:
    """A line for the person at the terminal, on stderr, so that stdout holds results alone."""
    typer.echo(text, err=True)


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, for as long as the block lasts; call it with how much more is done. None: it is not known."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Without redirection: rich would send what is printed meanwhile to its own console, which is stderr.
    with Progress(
        *columns,
        console=err,
        transient=True,
        disable=not err.is_terminal,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda more: bar.advance(task, more)
