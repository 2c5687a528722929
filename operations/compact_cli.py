"""The command `python -m operations compact`."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from aws_limits import KIB
from compaction.arrivals import LEAST_RAW_DAYS, closed_to
from compaction.summary import Summary, summary_lines
from operations.aws import client
from operations.command_line import (
    DEFAULT_PREFIX,
    DEFAULT_STAGE,
    NOT_DONE,
    DryRunOption,
    OutputsFileOption,
    StackPrefixOption,
    StageOption,
    day_of,
    epilog,
    outputs_of,
    progress,
    reported_errors,
    say,
)
from operations.deployed import Deployed
from operations.errors import WrongUsage
from operations.history_options import whole_from
from operations.history_place import (
    ArchiveOption,
    BarsTableOption,
    CalendarsTableOption,
    CatalogOption,
    DatabaseOption,
    history_errors,
    history_place,
)
from operations.run_summary import SummaryOption, summary_of
from operations.safe_stop import stopping_safely
from terminal.output import echo

app = typer.Typer(rich_markup_mode=None)


@app.command(
    "compact",
    epilog=epilog("compact --stage prod", "compact --archive downloaded/ --day 2026-11-26", "compact --dry-run"),
)
def compact(  # noqa: PLR0917  (options, by name)
    archive: ArchiveOption = None,
    catalog: CatalogOption = None,
    database: DatabaseOption = None,
    day: Annotated[
        list[datetime] | None,
        typer.Option(
            parser=day_of,
            metavar="YYYY-MM-DD",
            help="Read again what arrived around this day of the quotes (UTC). Repeat for more. By default, read what "
            "the tables lack.",
        ),
    ] = None,
    dry_run: DryRunOption = False,  # noqa: FBT002
    summary_to: SummaryOption = None,
    snapshot_days: Annotated[
        int, typer.Option(min=1, help="Days for which earlier versions of the tables can be read.")
    ] = 7,
    expire_raw_after_days: Annotated[
        int,
        typer.Option(
            min=0,
            help="Delete raw objects that are compacted, verified and older than this. 0 deletes none; otherwise the "
            "least is 36, because a run looks 35 days back.",
        ),
    ] = 0,
    bars_table: BarsTableOption = None,
    calendars_table: CalendarsTableOption = None,
    bar_ttl_days: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Days after which a minute expires, 0 for never. The sessions of days whose minutes have begun to "
            "expire stay as they were compacted. By default, those of the deployed function, and 0 with --archive.",
        ),
    ] = None,
    stack_prefix: StackPrefixOption = DEFAULT_PREFIX,
    stage: StageOption = DEFAULT_STAGE,
    outputs_file: OutputsFileOption = None,
) -> None:
    """Make sorted Iceberg tables of the raw objects of closed days.

    A day is closed from 02:00 UTC of the next day on. Each quote is in the tables once, whatever arrived twice. What
    arrives late is added by a later run. You may repeat or interrupt this command, or run it twice at once: the tables
    are the same. After Ctrl-C or SIGTERM, it ends where nothing is half done, within 90 seconds.
    """
    summary = Summary()
    with reported_errors():
        with (
            summary_of(summary, summary_to, dry_run=dry_run),
            history_errors(),
            stopping_safely() as checkpoint,
        ):
            if 0 < expire_raw_after_days < LEAST_RAW_DAYS:
                raise WrongUsage(
                    f"--expire-raw-after-days {expire_raw_after_days} is too early: a run looks 35 days back for what "
                    f"came late. Use 0 or at least {LEAST_RAW_DAYS}"
                )
            now, started = datetime.now(UTC), time.monotonic()
            wanted = _closed_days(day, now)
            if bar_ttl_days is None:
                bar_ttl_days = 0 if archive else _deployed_ttl(stack_prefix, stage, outputs_file)
            place = history_place(
                archive,
                catalog,
                database,
                bars_table,
                calendars_table,
                stack_prefix,
                stage,
                outputs_file,
                whole_from=whole_from(now, bar_ttl_days),
                changes=not dry_run,
            )
            from compaction.errors import CompactionError  # noqa: PLC0415
            from compaction.job import Compaction  # noqa: PLC0415  (it loads the large libraries)
            from compaction.upkeep import Upkeep  # noqa: PLC0415
            from operations.glue_views import GlueViews  # noqa: PLC0415

            views = GlueViews(client("glue"), place.database) if place.tables.is_glue else None
            run = Compaction(
                place.archive,
                place.tables,
                now=now,
                progress=progress,
                checkpoint=checkpoint,
                views=views,
                history=place.history,
                summary=summary,
            )
            plan = run.plan(wanted)
            size = f"{plan.bytes / KIB / KIB:,.1f} MiB" if plan.bytes >= KIB * KIB else f"{plan.bytes / KIB:,.1f} KiB"
            say(f"days of arrival to read: {len(plan.days)}; objects: {plan.objects:,}; size: {size}")
            if dry_run:
                for arrival_day, objects in plan.days:
                    note = (
                        "" if arrival_day < closed_to(now) else " (not closed: only quotes of earlier days are added)"
                    )
                    echo(f"{arrival_day}  objects: {len(objects):,}{note}")
                return
            try:
                run.quotes_and_actions(plan)
                run.bars(wanted)
                run.publish()
                Upkeep(place.archive, place.tables, now, summary, checkpoint).run(snapshot_days, expire_raw_after_days)
            except CompactionError as error:
                run.failed(str(error), error)
            summary.seconds = round(time.monotonic() - started, 1)
            for line in summary_lines(summary):
                say(line)
        if summary.failures:
            raise typer.Exit(NOT_DONE)


def _deployed_ttl(prefix: str, stage: str, outputs_file: Path | None) -> int:
    return Deployed(outputs_of(prefix, stage, outputs_file), prefix, stage, outputs_file).bar_ttl_days()


def _closed_days(given: list[datetime] | None, now: datetime) -> list[date] | None:
    days = sorted({each.date() for each in given or ()})
    limit = closed_to(now)
    for each in days:
        if each >= limit:
            raise WrongUsage(
                f"--day {each} is not closed yet: a day is compacted from 02:00 UTC of the next day on. The last one "
                f"that can be is {limit - timedelta(days=1)}"
            )
    return days or None
