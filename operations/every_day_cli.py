"""The command `python -m operations every-day`."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer

from operations.command_line import (
    DEFAULT_PREFIX,
    DEFAULT_STAGE,
    OutputsFileOption,
    StackPrefixOption,
    StageOption,
    epilog,
    outputs_of,
    reported_errors,
    say,
    target_options,
)
from operations.every_day import TIME_LIMIT_HOURS, EveryDay, Step
from operations.history_place import check_catalog
from operations.outputs import required

BACKFILL, COMPACT = "backfill", "compact"
_TIME = "%H:%M"

app = typer.Typer(rich_markup_mode=None)


@app.command("every-day", epilog=epilog("every-day --now --catalog sqlite:///catalog.db"))
def every_day(  # noqa: PLR0917  (options, by name)
    now: Annotated[  # noqa: FBT002
        bool, typer.Option("--now", help="Also run both commands once at the start.")
    ] = False,
    backfill_at: Annotated[
        datetime, typer.Option(formats=[_TIME], metavar="HH:MM", help="When `backfill` runs, in UTC.")
    ] = "01:10",  # type: ignore[assignment]  # typer parses it
    compact_at: Annotated[
        datetime, typer.Option(formats=[_TIME], metavar="HH:MM", help="When `compact` runs, in UTC.")
    ] = "02:10",  # type: ignore[assignment]  # typer parses it
    time_limit_hours: Annotated[
        int,
        typer.Option(
            min=1, max=23, help="Hours after which a command that has not ended is stopped. It goes on the next day."
        ),
    ] = TIME_LIMIT_HOURS,
    source: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The producer's source, for `backfill`. By default, that of the stage."),
    ] = None,
    catalog: Annotated[
        str, typer.Option(metavar="glue|sqlite:///FILE", help="The catalog of the compacted tables, for `compact`.")
    ] = "glue",
    stack_prefix: StackPrefixOption = DEFAULT_PREFIX,
    stage: StageOption = DEFAULT_STAGE,
    outputs_file: OutputsFileOption = None,
) -> None:
    """Run `backfill` and then `compact` once a day until stopped.

    This is for a machine that is always on, such as one that runs compose. On AWS, the stack `history` schedules the
    same commands. If a command fails, this says so, and runs it again the next day. A command that hangs is stopped
    after --time-limit-hours. SIGTERM lets the command that runs end where nothing is half done, and ends this. The
    command goes on the next time where it was.
    """
    with reported_errors():
        check_catalog(catalog)
        required(outputs_of(stack_prefix, stage, outputs_file), "ArchiveBucket")  # says at once what is wrong
        steps = steps_of(backfill_at, compact_at, target_options(stack_prefix, stage, outputs_file), source, catalog)
        program = EveryDay(steps, _start, say, time_limit_hours)
        for number in (signal.SIGINT, signal.SIGTERM):
            # A handler must not wait for a lock that the interrupted code may hold.
            signal.signal(number, lambda *_: threading.Thread(target=program.stop).start())
        program.run(at_once=now)


def steps_of(
    backfill_at: datetime, compact_at: datetime, target: str, source: str | None, catalog: str
) -> tuple[Step, Step]:
    """The two commands. `target` are the options that name the deployment."""
    to, of_source = shlex.split(target), () if source is None else ("--source", source)
    return (
        Step(name=BACKFILL, at=backfill_at.time(), command=(BACKFILL, *to, *of_source)),
        Step(name=COMPACT, at=compact_at.time(), command=(COMPACT, *to, "--catalog", catalog)),
    )


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a command of this program. Ctrl-C reaches it only through `EveryDay.stop`."""
    return subprocess.Popen([sys.executable, "-m", "operations", *command], start_new_session=True)  # noqa: S603  (of this program)
