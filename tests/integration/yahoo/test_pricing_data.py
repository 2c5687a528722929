"""The messages of the streaming endpoint, decoded by yfinance."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from yfinance.pricing_pb2 import PricingData

from tests.fakes.yahoo.prices import Prices
from tests.fakes.yahoo.pricing_data import FIELD_NUMBERS, encode, message, pricing
from tests.fakes.yahoo.quotes import Quotes
from tests.fakes.yahoo.tapes import Tapes
from tests.support.yahoo_sources import OPEN

TIMES = {
    "PRE": datetime(2026, 11, 23, 13, 0, tzinfo=UTC),
    "REGULAR": OPEN,
    "POST": datetime(2026, 11, 23, 22, 0, tzinfo=UTC),
    "CLOSED": datetime(2026, 11, 22, 15, 0, tzinfo=UTC),
}
QUOTES = Quotes(Tapes(Prices(1)))


def quote_at(symbol: str, time: datetime) -> dict[str, Any]:
    quote = QUOTES.quote(symbol, time.timestamp())
    assert quote is not None
    return quote


@pytest.mark.parametrize("symbol", ["AAPL", "ZRC-USD", "^GSPC", "AUDNZD=X", "SI=F", "SPY"])
@pytest.mark.parametrize("time", TIMES.values(), ids=TIMES)
def test_a_message_has_the_newest_price_of_the_quote(symbol: str, time: datetime) -> None:
    quote = quote_at(symbol, time)
    frame = json.loads(message(quote))
    decoded = PricingData.FromString(base64.b64decode(frame["message"]))

    assert (frame["type"], decoded.id) == ("pricing", symbol)
    newest = next((field for field in ("preMarket", "postMarket") if f"{field}Price" in quote), "regularMarket")
    assert decoded.price == pytest.approx(quote[f"{newest}Price"], rel=1e-6)
    assert decoded.time == 1_000 * quote[f"{newest}Time"]
    assert decoded.change == pytest.approx(quote[f"{newest}Change"], rel=1e-6)
    assert decoded.day_volume == quote["regularMarketVolume"]


def test_fields_are_numbered_as_in_yfinance() -> None:
    numbers = {field.name: field.number for field in PricingData.DESCRIPTOR.fields}

    assert {name: number for name, (number, _) in FIELD_NUMBERS.items()}.items() <= numbers.items()


@pytest.mark.parametrize("number", [1, 127, 128, 2**40, -1, -(2**40)])
def test_signed_numbers_survive_the_encoding(number: int) -> None:
    assert PricingData.FromString(encode({"time": number})).time == number


def test_recorded_messages_can_be_encoded_and_ours_have_their_fields(recordings: Path) -> None:
    frames = [
        (recordings / "yahoo/yfinance-rs/stream_ws_MULTI.b64").read_text(),
        (recordings / "yahoo/yfinance-py/stream_frame_btc.json").read_text(),
    ]
    for frame in frames:
        recorded = msgspec.json.decode(frame, type=dict[str, str])
        decoded = PricingData.FromString(base64.b64decode(recorded["message"]))
        values = {field.name: value for field, value in decoded.ListFields()}
        assert PricingData.FromString(encode(values)) == decoded
        assert recorded["type"] == "pricing"
        assert pricing(quote_at("BTC-USD", OPEN)).keys() == values.keys()
