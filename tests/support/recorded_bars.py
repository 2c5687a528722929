"""The recorded week of minute bars, in the form of the table of bars."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from quotes import to_iso

BarKey = tuple[str, str]
"""Symbol, and the minute's start in UTC."""
PRICES = ("open", "high", "low", "close", "volume")


def recorded_bars(folder: Path, symbol: str) -> Iterator[tuple[BarKey, tuple[Decimal, ...]]]:
    """A symbol's bars, by the start of the minute. The recording has the end of the minute instead."""
    with (folder / f"{symbol}_1min.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            end = datetime.fromisoformat(row["datetime"]).replace(tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)
            yield (symbol, to_iso(end - timedelta(minutes=1))), tuple(Decimal(row[name]) for name in PRICES)


def copy_days(folder: Path, target: Path, symbols: Iterable[str], days: int) -> Path:
    """Copy the bars of the newest recorded days, for some symbols, into a new folder. Returns the folder."""
    target.mkdir()
    for symbol in symbols:
        header, *rows = (folder / f"{symbol}_1min.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        newest = sorted({row[:10] for row in rows})[-days:]
        selected = [row for row in rows if row[:10] in newest]
        (target / f"{symbol}_1min.csv").write_text("".join([header, *selected]), encoding="utf-8")
    return target
