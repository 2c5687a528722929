from __future__ import annotations

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer_service.sources.yahoo_stream.messages import Garbage, trade_of
from tests.fakes.yahoo.pricing_data import encode
from tests.support.quotes import OPEN

RECORDED = (
    '{"type":"pricing","message":"CgdCVEMtVVNEFYoMuUcYwLCVgIplIgNVU0QqA0NDQzApOAFFPWrEP0iAgOrxvANVx/25R12csrRHZYD8skR9'
    '/7i0R7ABgIDq8bwD2AEE4AGAgOrxvAPoAYCA6vG8A/IBA0JUQ4ECAAAAwPrjckGJAgAA2P5ZT3tC"}'
)
"""A frame of Yahoo's, from the tests of yfinance (Apache-2.0)."""
FIELDS = {
    "id": "AAPL",
    "price": 170.33,
    "time": int(OPEN.timestamp()) * 1000 + 345,
    "market_hours": 1,
    "day_volume": 5_000_000_000,
}


def frame(**fields: Any) -> str:
    content = base64.b64encode(encode(FIELDS | fields)).decode()
    return json.dumps({"type": "pricing", "message": content})


def test_a_message_becomes_a_trade_with_the_price_that_yahoo_means() -> None:
    trade = trade_of(frame(), OPEN + timedelta(seconds=1))

    assert trade is not None
    assert (trade.symbol, trade.price, trade.volume, trade.session) == (
        "AAPL",
        Decimal("170.33"),
        5_000_000_000,
        "REGULAR",
    )
    assert (trade.time, trade.received) == (OPEN + timedelta(milliseconds=345), OPEN + timedelta(seconds=1))


def test_a_recorded_message_is_read() -> None:
    trade = trade_of(RECORDED, OPEN)

    assert trade is not None
    assert (trade.symbol, trade.price, trade.volume) == ("BTC-USD", Decimal("94745.08"), 59_712_028_672)
    assert (trade.session, trade.time) == ("REGULAR", datetime(2025, 1, 10, 11, 39, tzinfo=UTC))


@pytest.mark.parametrize(("hours", "session"), [(0, "PRE"), (2, "POST")])
def test_the_session_is_that_of_the_message(hours: int, session: str) -> None:
    trade = trade_of(frame(market_hours=hours), OPEN + timedelta(seconds=1))
    assert trade is not None
    assert trade.session == session


@pytest.mark.parametrize("text", [frame(market_hours=4), '{"type":"status","message":""}'])
def test_other_messages_are_no_trades(text: str) -> None:
    assert trade_of(text, OPEN + timedelta(seconds=1)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not JSON",
        "[]",
        '{"type":"pricing"}',
        '{"type":"pricing","message":"not base64!"}',
        '{"type":"pricing","message":"CgdCVEMt"}',
        '{"type":"pricing","message":"é"}',
        '{"type":"pricing","message":"","more":' + 10_000 * "[" + 10_000 * "]" + "}",
        b"\xff\xfe",
        frame(time=0),
        frame(time=2**60),
        frame(time=int(OPEN.timestamp()) * 1000 + 3_600_000),
        frame(price=0),
        frame(price=float("nan")),
        frame(price=float("inf")),
        frame(price=3e38),
    ],
)
def test_garbage_is_said_to_be_garbage(text: str | bytes) -> None:
    with pytest.raises(Garbage):
        trade_of(text, OPEN)


@given(st.text(max_size=40))
def test_no_text_raises_anything_else(message: str) -> None:
    with suppress(Garbage):
        trade_of(json.dumps({"type": "pricing", "message": message}, ensure_ascii=False), OPEN)


@given(st.binary(max_size=80))
def test_no_bytes_raise_anything_else(content: bytes) -> None:
    text = json.dumps({"type": "pricing", "message": base64.b64encode(content).decode()})
    with suppress(Garbage):
        trade_of(text, OPEN)
