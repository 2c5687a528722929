"""Quotes of the synthetic source."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from quotes import Quote

OPEN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)

MakeQuote = Callable[..., Quote]


@pytest.fixture
def make_quote() -> MakeQuote:
    def make(symbol: str = "AAPL", second: float = 0, price: str = "100", received: float = 0) -> Quote:
        return Quote(
            symbol=symbol,
            event_time=OPEN + timedelta(seconds=second),
            price=Decimal(price),
            source="synthetic",
            ingest_time=OPEN + timedelta(seconds=max(second, 0) + received),
        )

    return make
