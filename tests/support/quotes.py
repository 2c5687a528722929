"""Quotes for tests of the producer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from quotes import Quote

OPEN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
"""A Monday, at the open in New York."""

MakeQuote = Callable[..., Quote]
"""Makes a quote, as `make_quote` does."""


def make_quote(symbol: str = "AAPL", second: float = 0, price: str = "100", received: float = 0) -> Quote:
    """A quote `second` seconds after the open, received `received` seconds after that."""
    return Quote(
        symbol=symbol,
        event_time=OPEN + timedelta(seconds=second),
        price=Decimal(price),
        source="synthetic",
        ingest_time=OPEN + timedelta(seconds=max(second, 0) + received),
    )
