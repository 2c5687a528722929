"""The last line of the commands that run every day: their counts as JSON, by which CloudWatch knows how a run ended."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Protocol, TypeGuard

import msgspec
import typer

from operations.errors import WrongUsage
from terminal.output import echo

SummaryOption = Annotated[
    str | None,
    typer.Option(
        "--summary",
        metavar="FILE",
        help="Write the counts as a line of JSON to this file, or to stdout for -. They always go to stdout if that is "
        "no terminal. Not with --dry-run, which counts nothing.",
    ),
]


class RunSummary(Protocol):
    """What a run did. It is a struct of msgspec."""

    status: str
    """`done`, `failed` or `interrupted`."""
    failures: list[str]
    """What could not be done."""


@contextmanager
def summary_at_end(summary: RunSummary, to: str | None) -> Iterator[None]:
    """Print the summary however the run ends, and write it to the file `to`. An error becomes one of its failures.

    Raises `WrongUsage` before the run if the file cannot be written.
    """
    try:
        _check(to)
        yield
    except KeyboardInterrupt:
        summary.status = "interrupted"
        raise
    except BaseException as error:  # a SystemExit too: it must not look like `done`
        summary.status = "failed"
        summary.failures.append(f"{error}" or type(error).__name__)
        raise
    else:
        summary.status = "failed" if summary.failures else "done"
    finally:
        _write(msgspec.json.encode(summary).decode(), to)


def summary_of(summary: RunSummary, to: str | None, *, dry_run: bool) -> AbstractContextManager[None]:
    """`summary_at_end`, or nothing for a dry run, which counts nothing. Raises `WrongUsage` for `to` of a dry run."""
    if not dry_run:
        return summary_at_end(summary, to)
    if to is not None:
        raise WrongUsage("--summary has the counts of a run, and --dry-run counts nothing: leave out one of them")
    return nullcontext()


def _write(line: str, to: str | None) -> None:
    if to == "-" or not sys.stdout.isatty():
        echo(line)
    if _is_file(to):
        with _reported(to):
            Path(to).write_text(f"{line}\n", encoding="utf-8")


def _check(to: str | None) -> None:
    """Raise `WrongUsage` if the file cannot be written. What it contains stays.

    A pipe is not opened: its reader would take the end of this for the end of the summary.
    """
    if _is_file(to) and not Path(to).is_fifo():
        with _reported(to), Path(to).open("ab"):
            pass


def _is_file(to: str | None) -> TypeGuard[str]:
    return to is not None and to != "-"


@contextmanager
def _reported(to: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WrongUsage(f"--summary {to} cannot be written: {error.strerror}") from error
