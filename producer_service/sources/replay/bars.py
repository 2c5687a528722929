"""Minute bars as rows of a CSV file, and the quotes that a minute bar stands for. Pure.

docs/replay.md describes the file.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from producer_service.sources.replay.clock import Clock, Moments, choose_by_order, moments_of
from quotes import Invalid, price
from quotes.model import MAX_VOLUME

MINUTE = timedelta(minutes=1)
MAX_MISTAKES = 20
"""The most mistakes of one file that are listed. The others are counted."""

_PRICES = ("open", "high", "low", "close")
_COLUMNS = ("datetime", *_PRICES, "volume")
_NO_PRICES = (0, -1)
"""What many files write where there is no price. They are prices if the row has another negative price as well."""
_LOW_AFTER = timedelta(seconds=20)
_HIGH_AFTER = timedelta(seconds=40)
_CLOSE_AFTER = MINUTE - timedelta(milliseconds=1)


class Bar(msgspec.Struct, frozen=True, gc=False):
    """One minute of a symbol. It takes about 0.6 KB of memory."""

    start: datetime
    """The start of the minute, in UTC."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


class Moment(msgspec.Struct, frozen=True, gc=False):
    """The content of a quote at one moment. Open, high, low and volume are those of the day so far."""

    event_time: datetime
    price: Decimal
    open: Decimal
    high: Decimal
    low: Decimal
    previous_close: Decimal | None
    volume: int


def moments(bars: Iterable[Bar], zone: ZoneInfo) -> Iterator[Moment]:
    """The four moments of each bar: open, low (+20 s), high (+40 s) and close (1 ms before the end).

    The bars must be in order of time. A bar's volume is added at its close, so that folding the moments of a minute
    gives the same bar again. `previous_close` is the last close of the previous day in `zone` that has bars, or None on
    the first day.
    """
    today: date | None = None
    previous_close = last_close = None
    volume = 0
    day_open = day_high = day_low = Decimal(0)
    for bar in bars:
        day = bar.start.astimezone(zone).date()
        if day != today:
            today, previous_close, volume = day, last_close, 0
            day_open = day_high = day_low = bar.open
        for after, amount, traded in (
            (timedelta(), bar.open, 0),
            (_LOW_AFTER, bar.low, 0),
            (_HIGH_AFTER, bar.high, 0),
            (_CLOSE_AFTER, bar.close, bar.volume),
        ):
            day_high, day_low, volume = max(day_high, amount), min(day_low, amount), volume + traded
            yield Moment(bar.start + after, amount, day_open, day_high, day_low, previous_close, volume)
        last_close = bar.close


def parse_bars(lines: Iterable[str], name: str, clock: Clock) -> tuple[list[Bar], list[str]]:
    """The bars in the lines of a file, in order of time, and its mistakes, each with the file's name and the line.

    If there are mistakes, bars are missing. A high below its low is not a mistake, since it makes valid quotes.
    """
    rows: list[_Row] = []
    mistakes: list[str] = []
    reader = csv.reader(lines)
    try:
        header = [column.strip() for column in next(reader, [])]
        absent = [column for column in _COLUMNS if column not in header]
        if absent:
            return [], [f"{name}:1: there is no column {', '.join(absent)}"]
        places = [header.index(column) for column in _COLUMNS]
        for cells in reader:
            if not cells:
                continue
            try:
                row = _row([cells[place].strip() if place < len(cells) else "" for place in places], clock.zone)
                rows.append(row._replace(line=reader.line_num))
            except ValueError as error:
                mistakes.append(f"{name}:{reader.line_num}: {error}")
    except csv.Error as error:
        mistakes.append(f"{name}:{reader.line_num}: is not CSV: {error}")
    bars, more = _placed(rows, clock)
    mistakes += [f"{name}:{mistake}" for mistake in more]
    if len(mistakes) > MAX_MISTAKES:
        mistakes[MAX_MISTAKES:] = [f"{name}: and {len(mistakes) - MAX_MISTAKES} more mistakes"]
    return bars, mistakes


class _Row(NamedTuple):
    line: int
    moments: Moments
    prices: Sequence[Decimal]
    volume: int


def _placed(rows: Sequence[_Row], clock: Clock) -> tuple[list[Bar], list[str]]:
    """The bars of some rows, in order of time, and the rows that have no minute of their own."""
    before = MINUTE if clock.stamp == "end" else timedelta()
    lines: dict[datetime, int] = {}
    bars: list[Bar] = []
    mistakes: list[str] = []
    for row, moment in zip(rows, choose_by_order([row.moments for row in rows]), strict=True):
        if moment is None:
            first, second = (each.astimezone(clock.zone) for each in row.moments)
            mistakes.append(
                f"{row.line}: datetime: the clock of {clock.zone} shows {first:%Y-%m-%d %H:%M} twice, and the order of "
                f"the rows does not say which it is: write {first.isoformat(' ')} or {second.isoformat(' ')}"
            )
            continue
        start = moment - before
        other = lines.setdefault(start, row.line)
        if other == row.line:
            open_, high, low, close = row.prices
            bars.append(Bar(start, open_, high, low, close, row.volume))
        else:
            mistakes.append(f"{row.line}: datetime: line {other} is for the same minute, {start:%Y-%m-%dT%H:%MZ}")
    return sorted(bars, key=attrgetter("start")), mistakes


def _row(cells: Sequence[str], zone: ZoneInfo) -> _Row:
    """A row. Raises ValueError, which names everything that is wrong with it."""
    absent = [column for column, cell in zip(_COLUMNS, cells, strict=True) if not cell]
    if absent:
        raise ValueError(f"{', '.join(absent)} missing")
    problems: list[str] = []
    try:
        moments = moments_of(cells[0], zone)
    except ValueError as error:
        moments = ()
        problems.append(f"datetime {error}")
    prices = _prices(cells[1:5], problems)
    volume = _volume(cells[5], problems)
    if problems:
        raise ValueError("; ".join(problems))
    return _Row(0, moments, prices, volume)


def _prices(cells: Sequence[str], problems: list[str]) -> list[Decimal]:
    prices: dict[str, Decimal] = {}
    for column, text in zip(_PRICES, cells, strict=True):
        try:
            prices[column] = price(text)
        except Invalid as error:
            problems.append(f"{column} {str(error).removeprefix('price ')}")
    if not any(amount < 0 and amount not in _NO_PRICES for amount in prices.values()):
        problems += [
            f"{column} {amount} is not a price: files write 0 or -1 where there was none; leave the row out"
            for column, amount in prices.items()
            if amount in _NO_PRICES
        ]
    return list(prices.values())


def _volume(text: str, problems: list[str]) -> int:
    try:
        volume = Decimal(text)  # some files have 427888.0 or 1e6
    except ArithmeticError:
        volume = Decimal("NaN")
    if not volume.is_finite():
        problems.append(f"volume {text!r} is not a number")
    elif not 0 <= volume <= MAX_VOLUME:
        problems.append(f"volume {text!r} is not between 0 and 2**63 - 1")
    elif volume != volume.to_integral_value():
        problems.append(f"volume {text!r} is not a whole number; count in a smaller unit, such as thousandths")
    else:
        return int(volume)
    return 0
