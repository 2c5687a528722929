"""The commands of `python -m operations rules`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from configuration import RULES_KEY, ConfigurationObject
from operations.aws import client
from operations.command_line import (
    DEFAULT_PREFIX,
    DEFAULT_STAGE,
    DryRunOption,
    OutputsFileOption,
    StackPrefixOption,
    StageOption,
    epilog,
    outputs_of,
    reported_errors,
    say,
)
from operations.errors import WrongUsage
from operations.outputs import required
from processor_lambda.alerts import Rules, differences
from processor_lambda.alerts.rules_file import DEFAULT_FILE, UNKNOWN_PERCENT, parse
from processor_lambda.errors import SettingsError
from terminal.output import echo

DEFAULT = "default"
"""The word that stands for the default rules."""

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Check, show or replace the alert rules. A change takes effect within a minute, without a deployment.",
    epilog="The rules are the object configuration/rules.toml in the archive's bucket of a stage. docs/alerts.md "
    "describes each kind and field.",
)


@app.command(epilog=epilog("rules check rules.toml"))
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of alert rules.", show_default=False)],
) -> None:
    """Check alert rules as the function does, and name every mistake. Write nothing."""
    with reported_errors():
        rules = _parsed(_content(file), str(file))
        names = ", ".join(rule.id for rule in rules.rules) or "none, so no alert is raised"
        echo(f"{file} has valid rules: {names}")


@app.command(epilog=epilog("rules show", "rules show --stage prod > rules.toml"))
def show(
    *,
    stack_prefix: StackPrefixOption = DEFAULT_PREFIX,
    stage: StageOption = DEFAULT_STAGE,
    outputs_file: OutputsFileOption = None,
) -> None:
    """Print the file of alert rules that is stored."""
    with reported_errors():
        target = _target(stack_prefix, stage, outputs_file)
        stored = target.read()
        if stored is None:
            raise WrongUsage(f"there is no {target.address}: `rules put` or the next deployment writes it")
        if sys.stdout.isatty():
            echo(stored.content.decode(errors="replace"))
        else:
            sys.stdout.buffer.write(stored.content)
            sys.stdout.flush()
        say(f"this is version {stored.version} of {target.address}")
        try:
            parse(stored.content, target.address, UNKNOWN_PERCENT)
        except SettingsError as error:
            say(f"the function does not use these rules, and keeps the last ones that were right:\n{error}")


@app.command(epilog=epilog("rules put rules.toml --stage prod --dry-run", "rules put default"))
def put(
    new: Annotated[
        str,
        typer.Argument(
            metavar="FILE|default", help="A file of alert rules, or the word `default`.", show_default=False
        ),
    ],
    *,
    dry_run: DryRunOption = False,
    stack_prefix: StackPrefixOption = DEFAULT_PREFIX,
    stage: StageOption = DEFAULT_STAGE,
    outputs_file: OutputsFileOption = None,
) -> None:
    """Replace the alert rules, whatever is there now. They are checked first."""
    with reported_errors():
        file = DEFAULT_FILE if new == DEFAULT else Path(new)
        content = _content(file)
        after = _parsed(content, str(file))
        target = _target(stack_prefix, stage, outputs_file)
        stored = target.read()
        if stored is not None and stored.content == content:
            say("nothing changes")
            return
        for line in _changes(stored.content if stored is not None else b"", after):
            echo(line)
        if dry_run:
            return
        target.write(content, stored)
        say(f"wrote {target.address}; a function that runs uses the rules within a minute")


def _changes(stored: bytes, after: Rules) -> tuple[str, ...]:
    try:
        before = parse(stored, "the stored rules", UNKNOWN_PERCENT)
    except SettingsError as error:
        say(f"the stored rules have mistakes, so the function does not use them:\n{error}")
        before = Rules(())
    return differences(before, after) or ("only comments, layout, order or groups change",)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise WrongUsage(f"{file}: {error.strerror}") from error


def _parsed(content: bytes, place: str) -> Rules:
    try:
        return parse(content, place, UNKNOWN_PERCENT)
    except SettingsError as error:
        raise WrongUsage(str(error)) from error


def _target(prefix: str, stage: str, outputs_file: Path | None) -> ConfigurationObject:
    bucket = required(outputs_of(prefix, stage, outputs_file), "ArchiveBucket")
    return ConfigurationObject(client("s3"), bucket, RULES_KEY)
