"""Minute bars in files, and the quotes that a minute bar stands for.

A file `SYMBOL_1min.csv` has the columns datetime, open, high, low, close and volume, and one row per minute in any
order. `datetime` is the time in New York at the END of the minute.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from quotes import Invalid, price

NEW_YORK = ZoneInfo("America/New_York")
MINUTE = timedelta(minutes=1)
MAX_MISTAKES = 20
"""The most mistakes of one file that are listed. The others are counted."""

_COLUMNS = ("datetime", "open", "high", "low", "close", "volume")
_YEARS = range(1971, 2200)  # what a quote may hold, in any time zone
_NO_TIME = datetime(1, 1, 1, tzinfo=UTC)
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


def moments(bars: Iterable[Bar]) -> Iterator[Moment]:
    """The four moments of each bar: open, low (+20 s), high (+40 s) and close (1 ms before the end).

    The bars must be in order of time. A bar's volume is added at its close, so that folding the moments of a minute
    gives the same bar again. `previous_close` is the last close of the previous day in New York that has bars, or None
    on the first day.
    """
    today: date | None = None
    previous_close = last_close = None
    volume = 0
    day_open = day_high = day_low = Decimal(0)
    for bar in bars:
        day = bar.start.astimezone(NEW_YORK).date()
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


def read_bars(path: Path) -> tuple[list[Bar], list[str]]:
    """The bars of a file in order of time, and its mistakes, each with file and line. Raises OSError.

    If there are mistakes, bars are missing. If two rows are for the same minute, the later row counts. A high below its
    low is not a mistake, since it makes valid quotes.
    """
    bars: dict[datetime, Bar] = {}
    mistakes: list[str] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            header = [name.strip() for name in next(rows, [])]
            absent = [name for name in _COLUMNS if name not in header]
            if absent:
                return [], [f"{path}:1: there is no column {', '.join(absent)}"]
            places = [header.index(name) for name in _COLUMNS]
            for row in rows:
                if not row:
                    continue
                try:
                    bar = _bar([row[place].strip() if place < len(row) else "" for place in places])
                    bars[bar.start] = bar
                except ValueError as error:
                    mistakes.append(f"{path}:{rows.line_num}: {error}")
    except (csv.Error, UnicodeDecodeError) as error:
        mistakes.append(f"{path}: is not a CSV file in UTF-8: {error}")
    if len(mistakes) > MAX_MISTAKES:
        mistakes[MAX_MISTAKES:] = [f"{path}: and {len(mistakes) - MAX_MISTAKES} more mistakes"]
    return [bars[start] for start in sorted(bars)], mistakes


def _bar(cells: Sequence[str]) -> Bar:
    """The bar of a row. Raises ValueError, which names everything that is wrong with the row."""
    problems: list[str] = []
    start = _start(cells[0], problems)
    open_, high, low, close = (_price(*named, problems) for named in zip(_COLUMNS[1:5], cells[1:5], strict=True))
    volume = _volume(cells[5], problems)
    if problems:
        raise ValueError("; ".join(problems))
    return Bar(start, open_, high, low, close, volume)


def _start(text: str, problems: list[str]) -> datetime:
    try:
        end: datetime | None = datetime.fromisoformat(text)
    except ValueError:
        end = None
    # A date without a time would be a daily bar, and a time with a zone might not be New York's.
    if end is None or ":" not in text or end.tzinfo is not None or end.second or end.microsecond:
        problems.append(f"datetime {text!r} is not the end of a minute like 2019-02-15 16:00:00")
    elif end.year not in _YEARS:
        problems.append(f"datetime {text!r} is not between {_YEARS.start} and {_YEARS.stop - 1}")
    else:
        # The minute is subtracted in UTC, because New York skips an hour when its clocks change.
        return end.replace(tzinfo=NEW_YORK).astimezone(UTC) - MINUTE
    return _NO_TIME


def _price(column: str, text: str, problems: list[str]) -> Decimal:
    try:
        return price(text)
    except Invalid:
        problems.append(f"{column} {text!r} is not a price")
        return Decimal(0)


def _volume(text: str, problems: list[str]) -> int:
    try:
        volume = price(text)  # some files have 427888.0
        if volume >= 0 and volume == int(volume):
            return int(volume)
    except Invalid:
        pass
    problems.append(f"volume {text!r} is not a count")
    return 0
