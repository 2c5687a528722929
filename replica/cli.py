"""The commands of `python -m replica`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Annotated

import structlog
import typer
from botocore.exceptions import BotoCoreError
from rich.console import Console

from analytics.errors import AnalyticsError
from deployment.errors import DeploymentError
from producer_service.sources import synthetic
from producer_service.sources.registry import SOURCES
from replica import kept_archive, parameters
from replica.demo import run_demo
from replica.errors import ReplicaError
from replica.guide import near
from replica.interrupts import Interrupts, foreground
from replica.parameters import WrongParameters
from replica.steps import Steps
from replica.view import View
from terminal.output import echo, echo_error
from terminal.version import VersionOption
from workspace import demo_record

IN_WORDS = ", ".join(f"{name} ({source.description})" for name, source in SOURCES.items())
NEEDING_SYMBOLS = " and ".join(name for name, source in SOURCES.items() if source.needs_symbols)

WRONG_USAGE = 2
INTERRUPTED = 130
"""The exit status of shells for a program that Ctrl-C ended."""
BROKEN_PIPE = 141
"""The exit status of shells for a program that wrote to a pipe without a reader."""

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")


@app.callback()
def main(version: VersionOption = False) -> None:  # noqa: FBT002  (an option, by name)
    """Run the whole pipeline on this machine. It needs no AWS account and no Docker."""


@app.command()
def demo(  # noqa: PLR0917  (options, by name)
    seconds: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help=f"How long to run, from {parameters.MIN_SECONDS} on. By default, until Ctrl-C or the end of a replay.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(SOURCES),
            help=f"Where the quotes come from: {IN_WORDS}.",
            show_default=synthetic.DEFINITION.name,
        ),
    ] = None,
    symbols: Annotated[str | None, typer.Option(help=f"AAPL,MSFT,… Required for {NEEDING_SYMBOLS}.")] = None,
    interval: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="From one poll to the next.", show_default="1")
    ] = None,
    latency: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(parameters.MODES),
            help="How the function reads the stream. fast: through a consumer to which Kinesis pushes records. cheap: "
            "once a second, as AWS polls without one.",
            show_default=parameters.DEFAULT_MODE,
        ),
    ] = None,
    replay_path: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="The file or directory to replay: SYMBOL_1min.csv bars, or archived JSON Lines."
        ),
    ] = None,
    replay_speed: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help="The speed of a replay, in times real time. 0 is as fast as possible.",
            show_default="0",
        ),
    ] = None,
    replay_timezone: Annotated[
        str | None, typer.Option(help="The time zone of a replay's bars. The default is America/New_York.")
    ] = None,
    replay_stamp: Annotated[
        str | None,
        typer.Option(
            metavar="start|end", help="What the times of a replay's bars name in their minute. [default: end]"
        ),
    ] = None,
    rules: Annotated[
        str | None, typer.Option(metavar="FILE", help="A TOML file of alert rules, in place of the default rules.")
    ] = None,
    summary: Annotated[str | None, typer.Option(metavar="FILE", help="Write the result to this file, as JSON.")] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="DIRECTORY",
            help="Where to leave the archive. It replaces what an earlier demo left there, and nothing else.",
            show_default=near(kept_archive.default_directory(demo_record.STAGE)),
        ),
    ] = None,
    port: Annotated[
        str | None,
        typer.Option(metavar="NUMBER", help="The port of the dashboard.", show_default="8000, or a free one"),
    ] = None,
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
    deployed function as Lambda does. While it runs, it serves the dashboard, and the operator's commands reach it with
    `--stage demo`. At the end, it drains the pipeline, reads everything back, and compares it with the log of accepted
    quotes.

    It exits with 1 if a quote was lost, duplicated or out of order, with 2 if an option is wrong, and with 130 if
    Ctrl-C ends it before it could compare.

    Other PRODUCER_ variables in the environment reach the producer unchanged.
    """
    typed = parameters.Typed(
        seconds=seconds,
        source=source,
        symbols=symbols,
        interval=interval,
        latency=latency,
        replay_path=replay_path,
        replay_speed=replay_speed,
        replay_timezone=replay_timezone,
        replay_stamp=replay_stamp,
        rules=rules,
        summary=summary,
        keep=keep,
        port=port,
        auth=auth,
    )
    # The producer logs. Here its modules only check the settings.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with _reported_errors(), foreground(), Interrupts() as interrupts:
        wanted = parameters.checked(typed, os.environ, datetime.now(UTC))
        console = _Console()
        result = run_demo(View(console), Steps(console), interrupts, wanted)
    if result.lost or result.duplicated or result.out_of_order or result.alerts_unmatched:
        raise typer.Exit(1)


class _Console(Console):
    """Raises an error if nobody reads the output any more. Otherwise rich would exit with 1, as for lost quotes."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


@contextmanager
def _reported_errors() -> Iterator[None]:
    """Turn an error that the user can fix into a message and an exit status. Other errors keep their traceback."""
    try:
        yield
    except WrongParameters as error:
        count = f"{len(error.mistakes)} mistake{'s' * (len(error.mistakes) != 1)}"
        echo(f"stockstream demo: {count}, nothing was started:", err=True)
        for mistake in error.mistakes:
            echo(f"  {mistake}", err=True)
        raise typer.Exit(WRONG_USAGE) from error
    except BrokenPipeError as error:  # nobody reads the output any more, such as after `| head`
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(BROKEN_PIPE) from error
    except (ReplicaError, DeploymentError, AnalyticsError, BotoCoreError) as error:
        echo_error(error)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        echo("interrupted: the demo ended without a result, and removed what it had started", err=True)
        raise typer.Exit(INTERRUPTED) from error
