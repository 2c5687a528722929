"""The command `python -m smoke`, or `stockstream smoke`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from deployment.image import ContainerImage
from operations.aws import client
from operations.errors import OperationsError
from smoke import display, preflight
from smoke.commands import ChildProcesses
from smoke.deadline import Clock
from smoke.deployer import CommandDeployer
from smoke.report import Report, as_json, as_markdown
from smoke.stage import Stage
from smoke.wiring import run
from terminal.output import echo, echo_error
from terminal.version import VersionOption
from workspace.places import STATE

NOT_PASSED = 1
NOT_STARTED = 2
INTERRUPTED = 130

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command(
    epilog="Exit codes: 0 nothing failed; 1 a step or a clean-up failed; 2 the test did not begin; 130 interrupted."
)
def smoke(  # noqa: PLR0917  (options, by name)
    stage: Annotated[str, typer.Option(help="The second part of the names of the stacks.")],
    prefix: Annotated[str, typer.Option(help="The first part of the names of the stacks.")] = "stockstream",
    parameters_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The file of the stage, as for `deploy`.")
    ] = None,
    keep: Annotated[  # noqa: FBT002  (an option, by name)
        bool, typer.Option("--keep", help="Keep the stage. A stage that exists already is only tested with this.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the test begins.")] = False,  # noqa: FBT002  (an option, by name)
    deploy_options: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- OPTION...]", help="Options of `deploy`, such as `-- --image URI`.", show_default=False
        ),
    ] = None,
    version: VersionOption = False,  # noqa: ARG001, FBT002  (an option, by name)
) -> None:
    """Prove on an account that a stage works.

    This deploys the stage, waits for quotes, compares them in the archive, DynamoDB and Athena, stops the producer's
    task, adds a symbol, deploys a function that fails, checks the alarms, computes the bill, and removes the stage
    again. docs/smoke.md describes each step, what it costs, and what it cannot prove.

    Each step has a time limit and a verdict. Whatever happens, also after Ctrl-C, what the test made is removed again,
    except the tables and the archive, which `destroy` keeps.
    """
    options = tuple(deploy_options or ())
    clock = Clock(time.monotonic, lambda: datetime.now(UTC), time.sleep)
    tested = Stage(prefix, stage, cache(client), clock)
    with _reported_errors():
        place = preflight.place(tested.client)
        echo(f"account {place.account}, region {place.region}, as {place.identity}")
        existing = tested.existing_stacks()
        named = {option.partition("=")[0] for option in options}
        has_images = "--image" in named and any(each in option for option in options for each in _NO_HISTORY_BUILD)
        image = None if has_images else ContainerImage("arm64")
        denied = preflight.denied_calls(tested.client)
        found = preflight.obstacles(existing, stage=stage, keep=keep, image=image)
    if found:
        for line in found:
            echo_error(line)
        raise typer.Exit(NOT_STARTED)
    for line in denied:
        echo(f"warning: AWS denies a call, so a step may fail: {line}")
    display.plan(tested.full_name, exists=bool(existing), keep=keep)
    if not yes and on_terminal() and not typer.confirm("Begin?"):
        raise typer.Exit(NOT_STARTED)
    commands = ChildProcesses(os.environ)
    if not existing and "--adopt" not in named:
        options += ("--adopt", "new")  # what is left of an earlier stage is not there to be tested
    if yes or not existing:
        options += ("--yes",)
    stage_file = () if parameters_file is None else ("--parameters-file", str(parameters_file))
    deployer = CommandDeployer(tested, commands, options, stage_file)
    report = run(tested, deployer, commands, place, keep=keep, on_begin=display.begin, on_end=display.end)
    display.show(report)
    _write(report)
    if report.interrupted:
        raise typer.Exit(INTERRUPTED)
    if not report.passed:
        raise typer.Exit(NOT_PASSED)


_NO_HISTORY_BUILD = ("HistoryImage=", "History=off")
"""Parts of options with which a deployment builds no image of the history."""


def on_terminal() -> bool:
    """Whether a person can answer a question."""
    return sys.stdin.isatty()


def _write(report: Report) -> None:
    """Write the report to the directory where the programs keep what they make."""
    STATE.mkdir(parents=True, exist_ok=True)
    for suffix, content in ((".json", as_json(report)), (".md", as_markdown(report).encode())):
        path = STATE / f"smoke-{report.stage}{suffix}"
        path.write_bytes(content)
        echo(f"written: {path}")


@contextmanager
def _reported_errors() -> Iterator[None]:
    """Turn an error before the test begins into a message and an exit status."""
    try:
        yield
    except (OperationsError, BotoCoreError, ClientError) as error:
        echo_error(error)
        raise typer.Exit(NOT_STARTED) from error
