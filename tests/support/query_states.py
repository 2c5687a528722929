"""States of lanes for tests of the query function."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from lane_state import Bar, SymbolState
from quotes import to_iso
from tests.fakes.query_ports import NOW

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def make_symbol(**values: Any) -> SymbolState:
    """The state of a symbol that had a quote two seconds ago, with some other values."""
    defaults: dict[str, Any] = {
        "event_time": NOW - 2 * SECOND,
        "revision": 0,
        "price": Decimal("271.49"),
        "previous_close": None,
        "volume": None,
        "is_open": True,
        "delay_minutes": 0,
        "bar": None,
        "interval_ms": 10_000,
    }
    return SymbolState(**{**defaults, **values})


def make_bar(symbol: str, minute: datetime, **values: Any) -> Bar:
    """A minute of a symbol."""
    price = Decimal("271.49")
    defaults: dict[str, Any] = {"open": price, "high": price, "low": price, "close": price, "volume": 7, "quotes": 2}
    return Bar(**{**defaults, "symbol": symbol, "minute": minute, "ingest_time": minute, **values})


def quote_row(symbol: str, time: datetime, revision: int = 0, **values: Any) -> dict[str, Any]:
    """A row of the quotes table."""
    key = to_iso(time) + (f"#{revision}" if revision else "")
    return {"symbol": symbol, "timestamp": key, "price": Decimal("271.49"), "ingest_time": to_iso(time), **values}


def alert_row(time: datetime, id_: str, **values: Any) -> dict[str, Any]:
    """A row of the alerts table."""
    day = to_iso(time)[:10]
    return {
        "day": day,
        "key": f"{to_iso(time)} {id_}",
        "id": id_,
        "rule": "price_move",
        "severity": "warning",
        "symbol": "AAPL",
        "timestamp": to_iso(time),
        "subject": "AAPL moved +5.20% to 105.2",
        "values": {"price": Decimal("105.2")},
        "expires_at": 1_800_000_000,
        **values,
    }
