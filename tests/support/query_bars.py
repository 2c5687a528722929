"""Minute bars in the query function's tables, and answers about them as values."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from bars.keys import ONE_MINUTE, bar_key
from tests.fakes.query_ports import QueryWorld

NEW_YORK = {"id": "symbols", "name": "AAPL", "calendar": "XNYS", "timezone": "America/New_York"}
MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    """A time in UTC, such as `2026-11-27 14:30`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def bar_row(symbol: str, minute: datetime, **values: Any) -> dict[str, Any]:
    """A row of the table of bars."""
    price = Decimal("271.49")
    prices = {"open": price, "high": price, "low": price, "close": price}
    return {
        "symbol": symbol,
        "key": bar_key(ONE_MINUTE, minute),
        **prices,
        "volume": 7,
        "quotes": 2,
        "expires_at": 1,
        **values,
    }


def minutes_from(start: datetime, count: int) -> list[datetime]:
    """Minutes in a row."""
    return [start + number * MINUTE for number in range(count)]


def world_of(*minutes: datetime, symbol: str = "AAPL", **calendar: str) -> QueryWorld:
    """A world in which a symbol has these minutes. Its calendar is that of New York unless another is named."""
    world = QueryWorld()
    world.calendars.put({**NEW_YORK, "name": symbol, **calendar})
    world.bars.put(*(bar_row(symbol, minute) for minute in minutes))
    return world


def sessions_of(calendar: str, year: int, zone: str, sessions: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    """The item of a calendar's year. Sessions are a day and two times such as `2026-11-27 14:30`."""
    second = "%Y-%m-%dT%H:%M:%SZ"
    listed = [[day, at(opens).strftime(second), at(closes).strftime(second)] for day, opens, closes in sessions]
    return {
        "id": calendar,
        "name": str(year),
        "timezone": zone,
        "sessions": json.dumps(listed),
        "known_from": f"{year}-01-01T05:00:00Z",
        "known_to": f"{year + 1}-01-01T05:00:00Z",
    }
