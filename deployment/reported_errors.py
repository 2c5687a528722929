"""Tells a person at the command line what went wrong, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from botocore.exceptions import BotoCoreError

from configuration import ConfigurationError
from deployment.errors import DeploymentError, ParameterError, RolledBack
from terminal.output import echo_error
from terminal.program import called

DEFAULT_PREFIX = "stockstream"
"""The first part of the names of the stacks."""
_INTERRUPTED = 130
"""The exit status of a program that Ctrl-C has ended."""


@contextmanager
def hint_at_replay(prefix: str, stage: str) -> Iterator[None]:
    """Say how to put back what a release quarantined before it was rolled back."""
    try:
        yield
    except RolledBack as error:
        replay = f"{called('operations')} quarantine replay --all --release {error.release} --stage {stage}"
        prefixed = "" if prefix == DEFAULT_PREFIX else f" --stack-prefix {prefix}"
        raise DeploymentError(
            f"{error}\nThe function is the one before again, and goes on where the new one stopped. The stacks after "
            f"it were not changed. If the new one put lines into quarantine, put them back:\n  {replay}{prefixed}"
        ) from error


@contextmanager
def reported_errors() -> Iterator[None]:
    """Turn an error that the user can fix into a message and an exit status. Other errors keep their traceback."""
    try:
        yield
    except ParameterError as error:
        echo_error(error)
        raise typer.Exit(2) from error
    except (DeploymentError, ConfigurationError, BotoCoreError) as error:
        echo_error(error)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        echo_error("interrupted. Run the same command again: it waits for what is in progress, and completes the rest")
        raise typer.Exit(_INTERRUPTED) from error
