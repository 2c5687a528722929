"""The commands of `python -m replica`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from botocore.exceptions import BotoCoreError
from rich.console import Console

from analytics import local_archive
from analytics.errors import AnalyticsError
from deployment.errors import DeploymentError
from producer_service.sources import synthetic
from producer_service.sources.registry import SOURCES
from producer_service.suggestions import did_you_mean
from replica.demo import run_demo
from replica.errors import ReplicaError
from replica.interrupts import Interrupts, foreground
from replica.view import View
from terminal.output import echo, echo_error
from terminal.version import VersionOption

IN_WORDS = ", ".join(f"{name} ({source.description})" for name, source in SOURCES.items())
NEEDING_SYMBOLS = " and ".join(name for name, source in SOURCES.items() if source.needs_symbols)

INTERRUPTED = 130
"""The exit status of shells for a program that Ctrl-C ended."""

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")


@app.callback()
def main(version: VersionOption = False) -> None:  # noqa: FBT002  (an option, by name)
    """Run the whole pipeline on this machine. It needs no AWS account and no Docker."""


@app.command()
def demo(  # noqa: PLR0917  (options, by name)
    seconds: Annotated[
        float | None, typer.Option(min=1, help="How long to run. The default is until Ctrl-C or the end of a replay.")
    ] = None,
    source: Annotated[
        str, typer.Option(metavar="|".join(SOURCES), help=f"Where the quotes come from: {IN_WORDS}.")
    ] = synthetic.DEFINITION.name,
    symbols: Annotated[str | None, typer.Option(help=f"AAPL,MSFT,… Required for {NEEDING_SYMBOLS}.")] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds from one poll to the next.")] = 1.0,
    replay_path: Annotated[
        Path | None, typer.Option(help="The file or directory to replay: SYMBOL_1min.csv bars, or archived JSON Lines.")
    ] = None,
    replay_speed: Annotated[
        float, typer.Option(min=0, help="The speed of a replay, in times real time. 0 is as fast as possible.")
    ] = 0.0,
    replay_timezone: Annotated[
        str | None, typer.Option(help="The time zone of a replay's bars. The default is America/New_York.")
    ] = None,
    replay_stamp: Annotated[
        str | None,
        typer.Option(
            metavar="start|end", help="What the times of a replay's bars name in their minute. [default: end]"
        ),
    ] = None,
    summary: Annotated[Path | None, typer.Option(help="Write the result to this file, as JSON.")] = None,
    keep: Annotated[
        Path,
        typer.Option(
            file_okay=False,
            help="The directory to copy the archive to, for `make sql`.",
            show_default="build/demo-archive",
        ),
    ] = local_archive.DIRECTORY,
    auth: Annotated[  # noqa: FBT002  (an option, by name)
        bool,
        typer.Option(
            "--auth",
            envvar="AUTH",
            help="Enforce the deployed IAM policies, including the role of the function. Needs openssl.",
        ),
    ] = False,
) -> None:
    """Run the whole pipeline on this machine, watch it, and check that no quote was lost.

    The demo starts an emulator of AWS, deploys the templates to it, runs the producer, and delivers the stream to the
    deployed function as Lambda does. At the end, it drains the pipeline, reads everything back, and compares it with
    the log of accepted quotes. It exits with 1 if a quote was lost, duplicated or out of order.

    Other PRODUCER_ variables in the environment reach the producer unchanged.
    """
    if source not in SOURCES:
        advice = did_you_mean(source, SOURCES, otherwise=f"the sources are {', '.join(SOURCES)}")
        raise typer.BadParameter(f"{source!r} is not a source; {advice}", param_hint="--source")
    settings = {"SOURCE": source, "POLL_INTERVAL_SECONDS": str(interval), "REPLAY_SPEED": str(replay_speed)}
    if symbols:
        settings["SYMBOLS"] = symbols
    if replay_path is not None:
        settings["REPLAY_PATH"] = str(replay_path.absolute())
    if replay_timezone is not None:
        settings["REPLAY_TIMEZONE"] = replay_timezone
    if replay_stamp is not None:
        settings["REPLAY_STAMP"] = replay_stamp
    with _reported_errors(), foreground(), Interrupts() as interrupts:
        result = run_demo(
            View(Console()), interrupts, seconds=seconds, settings=settings, archive=keep, policies_enforced=auth
        )
        if summary is not None:
            summary.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
    if result.lost or result.duplicated or result.out_of_order:
        raise typer.Exit(1)


@contextmanager
def _reported_errors() -> Iterator[None]:
    """Turn an error that the user can fix into a message and exit status 1. Other errors keep their traceback."""
    try:
        yield
    except (ReplicaError, DeploymentError, AnalyticsError, BotoCoreError) as error:
        echo_error(error)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        echo("interrupted: the demo ended without a result, and removed what it had started", err=True)
        raise typer.Exit(INTERRUPTED) from error
