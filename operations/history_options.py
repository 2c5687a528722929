"""What the commands about stored history share: which symbols, which days, and which lanes."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Annotated, Protocol

import typer

from backfill.plan import DayRange
from bars.recent_days import RECENT, recent_from
from bars.sessions import SymbolCalendar
from operations.command_line import day_of
from operations.errors import WrongUsage
from quotes import MAX_LANES
from watchlist import DEFAULT_LANES

MAX_NAMED = 10
"""How many known symbols are named, if one is unknown."""
NONE_WATCHED = (
    "no symbol is watched: no producer has written the calendar of a symbol that it watches so far. Start the producer "
    "of this stage, which does so within a minute after its start, and run the command again"
)
"""What is said if no symbol is watched."""
_DAY = timedelta(days=1)
_CUT_DAYS = timedelta(days=2)
"""So many days after the one that expires now, whose date depends on the time zone, all bars of a day are stored."""

SymbolsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--symbols",
        metavar="SYMBOL[,SYMBOL...]",
        help="The symbols, separated by commas. By default, all that are watched now. Those that were removed from the "
        "watchlist may be named.",
    ),
]
FromOption = Annotated[
    datetime | None,
    typer.Option(
        "--from",
        parser=day_of,
        metavar="YYYY-MM-DD",
        help="The first day of the exchange. By default, 30 days ago.",
    ),
]
ToOption = Annotated[
    datetime | None,
    typer.Option("--to", parser=day_of, metavar="YYYY-MM-DD", help="The last day of the exchange. By default, today."),
]
LanesOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=MAX_LANES, help=f"The stream's number of lanes. By default, the producer's, or {DEFAULT_LANES}."
    ),
]

BarTtlOption = Annotated[
    int | None,
    typer.Option(
        min=0, help="Days after which a minute expires, 0 for never. By default, those of the deployed function."
    ),
]


def run_name() -> str:
    """A name that no other run has."""
    return secrets.token_hex(8)


class Calendars(Protocol):
    """The calendars of symbols, in alphabetical order."""

    def symbols(self) -> Mapping[str, SymbolCalendar]:
        """Those of all symbols that were ever watched."""

    def watched(self) -> Mapping[str, SymbolCalendar]:
        """Those of the symbols that are watched now."""


def chosen(calendars: Calendars, symbols: Sequence[str] | None) -> dict[str, SymbolCalendar]:
    """The symbols that a person names, or all that are watched now, with their calendars.

    A person may name every symbol that was ever watched. Raises `WrongUsage`.
    """
    if symbols is None:
        return dict(calendars.watched())
    named = dict.fromkeys(name.strip() for text in symbols for name in text.split(",") if name.strip())
    if not named:
        raise WrongUsage("--symbols names no symbol: write for example --symbols AAPL,MSFT, or leave it out for all")
    known = calendars.symbols()
    unknown = [name for name in named if name not in known]
    if unknown:
        raise WrongUsage(
            f"{', '.join(unknown)}: no producer has written the calendar of these symbols. It does so within a minute "
            f"after it starts to watch them. {_known_text(known)}. See docs/exchanges.md"
        )
    return {name: known[name] for name in named}


def _known_text(known: Collection[str]) -> str:
    if not known:
        return "It has written none so far"
    names = ", ".join(islice(known, MAX_NAMED))
    return f"It has written {len(known)}: {names}{', …' if len(known) > MAX_NAMED else ''}"


def whole_from(now: datetime, stored_days: int) -> date:
    """The first day of which no minute has expired, if they expire after `stored_days`, 0 for never."""
    return now.date() - _DAY * stored_days + _CUT_DAYS if stored_days else date.min


def day_range(first: datetime | None, last: datetime | None, now: datetime, *, stored_days: int = 0) -> DayRange:
    """The days that a person names. Raises `WrongUsage`.

    It is tomorrow already in some time zones, so the last day is then the day after that of UTC, and never a later one.
    Bars expire after `stored_days`, 0 for never. By default, they are the last 30 days, without those of which bars may
    have expired.
    """
    if first is not None and first.date() > now.date() + _DAY:
        raise WrongUsage(f"--from {first:%Y-%m-%d} is in the future: it is {now:%Y-%m-%d %H:%M} (UTC) now")
    end: date = now.date() + _DAY
    if last is not None:
        end = min(end, last.date())
    start: date = end - RECENT + _DAY if first is None else first.date()
    since = None
    if first is None and end >= now.date():
        start, since = now.date() - RECENT, recent_from(now)
    if first is None and stored_days:
        start = min(end, max(start, whole_from(now, stored_days)))
    if start > end:
        raise WrongUsage(f"--from {start} is after --to {end}")
    return DayRange(start, end, since)
