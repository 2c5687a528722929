"""Reads the rows of one of Yahoo's charts: when each begins and ends, and what it says. Pure.

A chart holds its rows as columns of equal length. Each rule comes from recorded charts or from reports of yfinance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from quotes import MAX_PRICE, Invalid
from yahoo_requests.json_values import MalformedResponse, is_number, time_of

Resolution = Literal["1m", "5m", "1h", "1d"]

LENGTHS: Mapping[Resolution, timedelta] = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
}
_GRIDS: Mapping[Resolution, timedelta] = {**LENGTHS, "1h": timedelta(minutes=15)}
"""Where the rows of a chart begin. Those of an hour begin at the open of a session, such as 9:30."""
_MAX_VOLUME = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BEFORE_MIDNIGHT = 22
"""A row of a day that begins at this full hour or later is one of the next day. Yahoo writes 23:00 for midnight, and
sometimes 22:00, around a change of the clock (yfinance #1048)."""


class Prices(NamedTuple):
    """What the trades of a row were worth, as Yahoo prints it."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal

    @property
    def is_flat(self) -> bool:
        """Whether all of them are the same."""
        return self.low == self.high == self.open == self.close


class Row(NamedTuple):
    """A row of a chart."""

    start: datetime
    end: datetime
    prices: Prices | None
    """None for a time without a trade, whose row is null."""
    volume: int | None
    """None if it is unknown. Yahoo writes zero for it (yfinance #1934, #2686), and none is traded without a price."""


def rows_of(chart: Mapping[str, Any], resolution: Resolution, zone: ZoneInfo, problems: Counter[str]) -> list[Row]:
    """The rows of a chart in the order of time, without the row of the present moment. No two of them overlap.

    Raises `MalformedResponse` if the columns do not fit together. `problems` counts the rows that are unusable.
    """
    found: dict[datetime, Row] = {}
    for time, values, volume in _read(chart):
        try:
            row = _row(time, values, volume, resolution, zone)
        except Invalid as error:
            problems[str(error)] += 1
            continue
        if row is not None:
            other = found.setdefault(row.start, row)
            if other != row:
                problems["row of the same time as another"] += 1
                found[row.start] = max(other, row, key=_worth)
    return [*_without_overlap((found[start] for start in sorted(found)), problems)]


def _read(chart: Mapping[str, Any]) -> Iterator[tuple[object, tuple[object, ...], object]]:
    times = chart.get("timestamp") or []
    match chart.get("indicators"):
        case {"quote": [dict() as quote]}:
            pass
        case _:
            raise MalformedResponse("the chart has no indicators.quote")
    if not times:
        return
    columns: list[Any] = [quote.get(name) for name in Prices._fields]
    volumes = quote.get("volume") or [None] * len(times)
    names = ("timestamp", *Prices._fields, "volume")
    for name, column in zip(names, (times, *columns, volumes), strict=True):
        if not isinstance(column, list) or len(column) != len(times):
            raise MalformedResponse(f"the column {name} of the chart is not one of {len(times)} values")
    for time, *values, volume in zip(times, *columns, volumes, strict=True):
        yield time, tuple(values), volume


def _row(
    time: object, values: tuple[object, ...], volume: object, resolution: Resolution, zone: ZoneInfo
) -> Row | None:
    """A row. None for the one that Yahoo appends with the present price: it begins at the time of the last trade."""
    start = time_of("timestamp", time)
    if resolution == "1d":
        start, end = _day(start, zone)
    else:
        if (start - _EPOCH) % _GRIDS[resolution]:
            return None
        end = start + LENGTHS[resolution]
    shares = int(volume) if is_number(volume) and 0 < volume <= _MAX_VOLUME else None
    return Row(start, end, _prices(values), shares)


def _day(moment: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The day of a row from midnight to midnight. Yahoo writes the open of its session, or midnight."""
    local = moment.astimezone(zone)
    day = local.date()
    if local.hour >= _BEFORE_MIDNIGHT and not local.minute:
        day += timedelta(days=1)
    first, second = (datetime(each.year, each.month, each.day, tzinfo=zone) for each in (day, day + timedelta(days=1)))
    return first.astimezone(UTC), second.astimezone(UTC)


def _prices(values: tuple[object, ...]) -> Prices | None:
    """The prices of a row. None if one is null. Raises `Invalid`.

    The open or the close may be above the high at Yahoo, or below the low. Both count for these.
    """
    numbers = []
    for name, value in zip(Prices._fields, values, strict=True):
        if value is None:
            return None
        if not is_number(value) or not 0 < abs(Decimal(value)) < MAX_PRICE:
            raise Invalid(name, f"{value!r:.40} is not a price")
        numbers.append(Decimal(value))
    return Prices(numbers[0], max(numbers), min(numbers), numbers[-1])


def _worth(row: Row) -> tuple[bool, int]:
    """Which of two rows of the same time to keep: one with prices, and the one with more volume."""
    return row.prices is not None, row.volume or 0


def _without_overlap(rows: Iterable[Row], problems: Counter[str]) -> Iterator[Row]:
    """Rows in the order of time, without those that begin before the one before them ends.

    One of a single price without volume is the closing auction's, or that of the last trade. It ends the row before it.
    """
    last: Row | None = None
    for row in rows:
        if last is None or last.prices is None or row.start >= last.end:
            if last is not None:
                yield last
            last = row
        elif row.prices is not None and row.prices.is_flat and row.volume is None:
            close = row.prices.close
            before = last.prices
            prices = Prices(before.open, max(before.high, close), min(before.low, close), close)
            last = last._replace(prices=prices)
        elif row.prices is not None:
            problems["row before the end of another"] += 1
    if last is not None:
        yield last
