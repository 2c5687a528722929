"""The recorded week of minute bars, as the table of bars is to hold it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from quotes import to_iso

BarKey = tuple[str, str]
"""Symbol, and the minute's start in UTC."""
PRICES = ("open", "high", "low", "close", "volume")


def recorded_bars(folder: Path, symbol: str) -> Iterator[tuple[BarKey, tuple[Decimal, ...]]]:
    """A symbol's bars, by the minute's start; the recording says its end."""
    with (folder / f"{symbol}_1min.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            end = datetime.fromisoformat(row["datetime"]).replace(tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)
            yield (symbol, to_iso(end - timedelta(minutes=1))), tuple(Decimal(row[name]) for name in PRICES)
