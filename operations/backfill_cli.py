"""The command `python -m operations backfill`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import cache, partial
from typing import Annotated, Literal

import typer

from backfill.charts import YahooCharts, limit_of
from backfill.plan_text import plan_lines, summary_lines
from backfill.planner import Plan, Planner, Wish
from backfill.refold import Refolder
from backfill.runner import Runner, go_on
from backfill.summary import Summary
from bars.keys import ONE_MINUTE
from operations.aws import client
from operations.backfill_lease import only_backfill
from operations.backfill_stores import ArchivedChunks, BackfillBars, backfill_errors
from operations.calendar_table import CalendarTable
from operations.command_line import (
    DEFAULT_PREFIX,
    DEFAULT_STAGE,
    NOT_DONE,
    DryRunOption,
    OutputsFileOption,
    StackPrefixOption,
    StageOption,
    epilog,
    outputs_of,
    progress,
    reported_errors,
    say,
)
from operations.deployed import Deployed
from operations.errors import Unavailable, WrongUsage
from operations.history_options import (
    NONE_WATCHED,
    BarTtlOption,
    FromOption,
    LanesOption,
    SymbolsOption,
    ToOption,
    chosen,
    day_range,
    run_name,
)
from operations.lane_states import DynamoLaneStates
from operations.live_lanes import LiveLanes
from operations.outputs import required
from operations.run_summary import SummaryOption, summary_of
from operations.safe_stop import stopping_safely
from operations.write_pace import MOST_WRITERS
from terminal.output import echo
from watchlist import SOURCES
from yahoo_requests.chart_client import CHARTS_PER_SECOND, ChartClient, chart_limiter

LIVE_SOURCES = ("yahoo", "yahoo_stream")
"""The sources whose quotes are those of Yahoo. The quotes of others are simulated or recorded."""
WRITE_ATTEMPTS = 12
"""How often a row is written that the table throttles. The pauses grow to 20 seconds."""
MAX_RATE = 1_000
"""The most requests a second, for a source of one's own. Yahoo refuses far fewer."""
SHOWN_SYMBOLS = 20
"""How many symbols of a plan are shown before it runs."""

ResolutionName = Literal["1m", "5m", "1h", "1d"]

app = typer.Typer()


@app.command(
    "backfill",
    epilog=epilog(
        "backfill --dry-run",
        "backfill",
        "backfill --symbols AAPL,MSFT --from 2026-10-28 --to 2026-11-26 --resolution 5m",
    ),
)
def backfill_(  # noqa: PLR0917  (options, by name)
    symbols: SymbolsOption = None,
    first: FromOption = None,
    last: ToOption = None,
    resolution: Annotated[ResolutionName, typer.Option(help="The length of the bars.")] = "1m",
    rate: Annotated[
        float,
        typer.Option(
            min=0.001,
            max=MAX_RATE,
            help="Requests a second. Yahoo counts those of the producer together with these, so the default is a "
            "quarter of the producer's rate.",
        ),
    ] = CHARTS_PER_SECOND,
    again: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--again",
            help="Ask again for minutes of which Yahoo had no bar before. If such a run is stopped, it starts over.",
        ),
    ] = False,
    overwrite: Annotated[
        Literal["stream"] | None,
        typer.Option(help="Replace the bars of the live stream by Yahoo's. Bars of a rebuild always stay."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="The producer's source. Bars are filled for yahoo and yahoo_stream alone, because other quotes are "
            "simulated or recorded. By default, it is that of the deployed producer, or of the demo."
        ),
    ] = None,
    lanes: LanesOption = None,
    bar_ttl_days: BarTtlOption = None,
    dry_run: DryRunOption = False,  # noqa: FBT002
    summary_to: SummaryOption = None,
    stack_prefix: StackPrefixOption = DEFAULT_PREFIX,
    stage: StageOption = DEFAULT_STAGE,
    outputs_file: OutputsFileOption = None,
) -> None:
    """Fill the gaps of stored bars from Yahoo's history.

    It compares the stored bars with the sessions of the exchanges, prints what it asks Yahoo for and how long that
    takes, and stores what is missing. It never replaces a bar of the live stream, unless --overwrite says so. It asks
    for nothing twice: you may interrupt and repeat it at any time. After Ctrl-C or SIGTERM, it finishes the answer that
    it has, within 90 seconds. If Yahoo refuses a request, it stops, and the next run goes on. If another backfill of
    the stage runs, it waits until that has ended. Yahoo keeps minutes for 30 days, bars of 5 minutes for 60, of hours
    for 730, and of days for ever.
    """
    summary = Summary(resolution=resolution)
    with reported_errors():
        with (
            summary_of(summary, summary_to, dry_run=dry_run),
            backfill_errors(),
            stopping_safely() as checkpoint,
        ):
            if source is not None and source not in SOURCES:
                raise WrongUsage(f"--source {source}: there is no such source. The sources are {', '.join(SOURCES)}")
            deployed = Deployed(outputs_of(stack_prefix, stage, outputs_file), stack_prefix, stage, outputs_file)
            live_source = source or deployed.source()
            if live_source not in LIVE_SOURCES:
                say(f"the quotes of the source {live_source} are simulated or recorded: no history can fill their gaps")
                return
            ttl_days = deployed.bar_ttl_days() if bar_ttl_days is None else bar_ttl_days
            stores = _Stores(deployed)
            wish = Wish(
                symbols=chosen(stores.calendars, symbols),
                resolution=resolution,
                limit=limit_of(resolution),
                days=day_range(first, last, _now(), stored_days=ttl_days if resolution == ONE_MINUTE else 0),
                again=again,
                over_stream=overwrite is not None,
            )
            if not wish.symbols:
                say(NONE_WATCHED)
                return
            run = run_name()
            with nullcontext() if dry_run else _only_run(stores.bars, run, checkpoint, go_on(wish)):
                with progress("planning", len(wish.symbols)) as on_progress:
                    planner = Planner(stores.bars, stores.chunks, stores.calendars.sessions_of)
                    plan = planner.plan(wish, _now(), _checked(on_progress, checkpoint))
                for line in plan_lines(plan, rate, None if dry_run else SHOWN_SYMBOLS):
                    echo(line, err=not dry_run)
                if dry_run:
                    return
                live = stores.live(lanes or deployed.lanes())
                _run(plan, stores, live, run, rate, ttl_days, summary, checkpoint)
                for line in summary_lines(summary):
                    say(line)
        if summary.failures:
            raise typer.Exit(NOT_DONE)


@contextmanager
def _only_run(bars: BackfillBars, run: str, checkpoint: Callable[[], None], advice: str) -> Iterator[None]:
    """Run alone, and say after an error what to do, which is the `advice`."""

    def pause(seconds: float) -> None:
        time.sleep(seconds)
        checkpoint()

    try:
        with only_backfill(bars, run, _now, say, pause):
            yield
    except Unavailable as error:
        raise Unavailable(f"{error}; {advice}") from error


class _Stores:
    """The table of bars, the archive and the table of calendars of a deployment."""

    def __init__(self, deployed: Deployed) -> None:
        # A table with little capacity throttles a backfill, which then writes more slowly. A demo that has ended does
        # not come back, so waiting for it is of no use.
        settings = {} if deployed.is_demo else {"retries": {"mode": "standard", "max_attempts": WRITE_ATTEMPTS}}
        self._dynamodb = client("dynamodb", max_pool_connections=MOST_WRITERS, **settings)
        self._state_table = partial(required, deployed.names, "StateTable")
        self.calendars = CalendarTable(self._dynamodb, required(deployed.names, "CalendarsTable"))
        self.bars = BackfillBars(self._dynamodb, required(deployed.names, "BarsTable"))
        self.chunks = ArchivedChunks(client("s3"), required(deployed.names, "ArchiveBucket"))

    def live(self, lanes: int) -> LiveLanes:
        """The indicators in the states of the lanes."""
        return LiveLanes(DynamoLaneStates(self._dynamodb, self._state_table()), self.bars, lanes)


def _run(  # noqa: PLR0917  (one call)
    plan: Plan,
    stores: _Stores,
    live: LiveLanes,
    run: str,
    rate: float,
    ttl_days: int,
    summary: Summary,
    checkpoint: Callable[[], None],
) -> None:
    requests = ChartClient(chart_limiter(rate))
    charts = YahooCharts(requests, _now, lambda symbol: plan.symbols[symbol].calendar.zone, cache(live.currency_of))
    try:
        refolder = Refolder(stores.bars, stores.chunks, live, run=run, now=_now)
        runner = Runner(
            stores.bars, stores.chunks, charts, refolder, now=_now, ttl_days=ttl_days, checkpoint=checkpoint
        )
        with progress("filling gaps", plan.rows + plan.recomputed, shows_rate=True) as on_progress:
            runner.fill(plan, summary, on_progress)
            runner.refold(plan, summary, on_progress)
    finally:
        requests.close()


def _checked(on_progress: Callable[[int], None], checkpoint: Callable[[], None]) -> Callable[[int], None]:
    """The same function. After it, the command may end: a step is done when it is reported."""

    def report(parts: int) -> None:
        on_progress(parts)
        checkpoint()

    return report


def _now() -> datetime:
    return datetime.now(UTC)
