"""What the commands about stored history share: which symbols, and which days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated

import typer

from backfill.plan import DayRange
from bars.sessions import SymbolCalendar
from operations.errors import WrongUsage

DEFAULT_DAYS = timedelta(days=30)
"""How far back the commands look by default, as long as Yahoo keeps minutes."""
_DAY = timedelta(days=1)
_CUT_DAYS = timedelta(days=2)
"""So many days after the one that expires now, whose date depends on the time zone, all bars of a day are stored."""

SymbolsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--symbols",
        metavar="SYMBOL[,SYMBOL...]",
        help="The symbols, separated by commas. By default, all that were ever watched.",
    ),
]
FromOption = Annotated[
    datetime | None,
    typer.Option(
        "--from",
        formats=["%Y-%m-%d"],
        metavar="YYYY-MM-DD",
        help="The first day of the exchange. By default, 30 days ago.",
    ),
]
ToOption = Annotated[
    datetime | None,
    typer.Option(
        "--to", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="The last day of the exchange. By default, today."
    ),
]


def chosen(known: Mapping[str, SymbolCalendar], symbols: Sequence[str] | None) -> dict[str, SymbolCalendar]:
    """The symbols that a person names, or all that are known, with their calendars. Raises `WrongUsage`."""
    if not symbols:
        return dict(known)
    named = dict.fromkeys(name.strip() for text in symbols for name in text.split(",") if name.strip())
    unknown = [name for name in named if name not in known]
    if unknown:
        raise WrongUsage(
            f"{', '.join(unknown)}: no producer has written the calendar of these symbols. It does so within a minute "
            "after it starts to watch them. See docs/exchanges.md"
        )
    return {name: known[name] for name in named}


def day_range(first: datetime | None, last: datetime | None, now: datetime, *, stored_days: int = 0) -> DayRange:
    """The days that a person names. Raises `WrongUsage`.

    It is tomorrow already in some time zones, so the last day is then the day after that of UTC. Bars expire after
    `stored_days`, 0 for never. By default, days of which some may have expired are left out.
    """
    end: date = now.date() + _DAY if last is None else last.date()
    start: date = min(now.date(), end) - DEFAULT_DAYS if first is None else first.date()
    if first is None and stored_days:
        whole = now.date() - _DAY * stored_days + _CUT_DAYS
        start = min(end, max(start, whole))
    if start > end:
        raise WrongUsage(f"--from {start} is after --to {end}")
    return DayRange(start, end)
