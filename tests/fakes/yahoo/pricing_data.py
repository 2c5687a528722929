"""The message of Yahoo's streaming endpoint: Protocol Buffers in base64 in JSON.

The encoder is written by hand, after the definition in yfinance's `pricing.proto`, so that it is independent of the
code that it tests.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from tests.fakes.yahoo.fundamentals import Fields

_Kind = Literal["string", "float", "double", "int", "zigzag"]

FIELD_NUMBERS: dict[str, tuple[int, _Kind]] = {
    "id": (1, "string"),
    "price": (2, "float"),
    "time": (3, "zigzag"),
    "currency": (4, "string"),
    "exchange": (5, "string"),
    "quote_type": (6, "int"),
    "market_hours": (7, "int"),
    "change_percent": (8, "float"),
    "day_volume": (9, "zigzag"),
    "day_high": (10, "float"),
    "day_low": (11, "float"),
    "change": (12, "float"),
    "open_price": (15, "float"),
    "last_size": (22, "zigzag"),
    "price_hint": (27, "zigzag"),
    "vol_24hr": (28, "zigzag"),
    "vol_all_currencies": (29, "zigzag"),
    "from_currency": (30, "string"),
    "circulating_supply": (32, "double"),
    "market_cap": (33, "double"),
}
"""The number of each field, and how it is encoded."""

_QUOTE_TYPES = {"EQUITY": 8, "INDEX": 9, "CURRENCY": 14, "FUTURE": 18, "ETF": 20, "CRYPTOCURRENCY": 41}
_PRE_MARKET, _REGULAR_MARKET, _POST_MARKET = range(3)
_VARINT, _FIXED_64, _LENGTH, _FIXED_32 = 0, 1, 2, 5


def message(quote: Fields) -> str:
    """The text frame for a quote of the v7 endpoint."""
    content = base64.b64encode(encode(pricing(quote))).decode()
    return msgspec.json.encode({"type": "pricing", "message": content}).decode()


def pricing(quote: Fields) -> dict[str, Any]:
    """The fields of the message for a quote.

    Those of a coin are the fields of recorded messages. No message of a share was recorded, so a share has only the
    fields that its users report: a client must not depend on others.
    """
    field, hours = "regularMarket", _REGULAR_MARKET
    for extended, code in (("preMarket", _PRE_MARKET), ("postMarket", _POST_MARKET)):
        if f"{extended}Price" in quote:
            field, hours = extended, code
    volume = quote["regularMarketVolume"]
    values = {
        "id": quote["symbol"],
        "price": quote[f"{field}Price"],
        "time": 1_000 * quote[f"{field}Time"],
        "exchange": quote["exchange"],
        "quote_type": _QUOTE_TYPES[quote["quoteType"]],
        "market_hours": hours,
        "change_percent": quote[f"{field}ChangePercent"],
        "day_volume": volume,
        "change": quote[f"{field}Change"],
        "price_hint": quote["priceHint"],
    }
    if quote["quoteType"] == "CRYPTOCURRENCY":
        values |= {
            "currency": quote["currency"],
            "day_high": quote["regularMarketDayHigh"],
            "day_low": quote["regularMarketDayLow"],
            "open_price": quote["regularMarketOpen"],
            "last_size": volume,
            "vol_24hr": volume,
            "vol_all_currencies": volume,
            "from_currency": quote["fromCurrency"],
            "circulating_supply": float(quote["circulatingSupply"]),
            "market_cap": float(quote["marketCap"]),
        }
    return values


def encode(values: Mapping[str, Any]) -> bytes:
    """A `PricingData` message. As in Protocol Buffers 3, a field of value 0 is absent."""
    parts = []
    for name, value in values.items():
        if not value:
            continue
        number, kind = FIELD_NUMBERS[name]
        match kind:
            case "string":
                content = value.encode()
                parts.append(_varint(number << 3 | _LENGTH) + _varint(len(content)) + content)
            case "float":
                parts.append(_varint(number << 3 | _FIXED_32) + struct.pack("<f", value))
            case "double":
                parts.append(_varint(number << 3 | _FIXED_64) + struct.pack("<d", value))
            case "int":
                parts.append(_varint(number << 3 | _VARINT) + _varint(value))
            case "zigzag":
                parts.append(_varint(number << 3 | _VARINT) + _varint(value << 1 ^ value >> 63))
    return b"".join(parts)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
