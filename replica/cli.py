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
from replica import demo as demo_
from replica.errors import ReplicaError
from replica.view import View

IN_WORDS = ", ".join(f"{name} ({source.description})" for name, source in SOURCES.items())
NEEDING_SYMBOLS = " and ".join(name for name, source in SOURCES.items() if source.needs_symbols)

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Run the pipeline on this machine.")


@app.command()
def demo(  # noqa: PLR0917  (options, by name)
    seconds: Annotated[
        float | None, typer.Option(min=1, help="How long to run. Without it: until Ctrl-C, or the end of a replay.")
    ] = None,
    source: Annotated[
        str, typer.Option(metavar="|".join(SOURCES), help=f"Where the quotes come from: {IN_WORDS}.")
    ] = synthetic.DEFINITION.name,
    symbols: Annotated[str | None, typer.Option(help=f"AAPL,MSFT,… Required for {NEEDING_SYMBOLS}.")] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds from one poll to the next.")] = 1.0,
    replay_path: Annotated[
        Path | None, typer.Option(help="A file or directory of SYMBOL_1min.csv bars or JSON Lines.")
    ] = None,
    replay_speed: Annotated[
        float, typer.Option(min=0, help="Times real time. 0 is as fast as the pipeline takes it.")
    ] = 0.0,
    summary: Annotated[Path | None, typer.Option(help="Write the closing figures to this file, as JSON.")] = None,
    keep: Annotated[
        Path,
        typer.Option(
            file_okay=False,
            help="The directory that keeps the archive for `make sql`.",
            show_default="build/demo-archive",
        ),
    ] = local_archive.DIRECTORY,
    auth: Annotated[  # noqa: FBT002  (an option, by name)
        bool,
        typer.Option("--auth", envvar="AUTH", help="Enforce the deployed IAM policies, the function's role included."),
    ] = False,
) -> None:
    """Run the whole pipeline on this machine, watch it, and check that nothing was lost.

    Starts an emulator of AWS, deploys the templates, runs the producer, and delivers its stream to the function as
    Lambda does. At the end (Ctrl-C, --seconds, or the end of a replay) it drains, reads everything back, and compares
    it with the log of accepted quotes. Exits 1 if a quote was lost, duplicated or out of order. Other PRODUCER_
    variables of the environment reach the producer unchanged.
    """
    if source not in SOURCES:
        advice = did_you_mean(source, SOURCES, otherwise=f"the sources are {', '.join(SOURCES)}")
        raise typer.BadParameter(f"{source!r} is not a source; {advice}", param_hint="--source")
    settings = {"SOURCE": source, "POLL_INTERVAL_SECONDS": str(interval), "REPLAY_SPEED": str(replay_speed)}
    if symbols:
        settings["SYMBOLS"] = symbols
    if replay_path is not None:
        settings["REPLAY_PATH"] = str(replay_path.absolute())
    with _reported_errors():
        result = demo_.run(View(Console()), seconds=seconds, settings=settings, archive=keep, policies_enforced=auth)
        if summary is not None:
            summary.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
    if result.lost or result.duplicated or result.out_of_order:
        raise typer.Exit(1)


@contextmanager
def _reported_errors() -> Iterator[None]:
    """End with status 1 and a message for what a person can fix. A bug of ours keeps its traceback."""
    try:
        yield
    except (ReplicaError, DeploymentError, AnalyticsError, BotoCoreError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
