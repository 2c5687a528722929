"""Reads the messages of Yahoo's streaming endpoint, with yfinance's class for them.

Yahoo documents neither the endpoint nor the message. yfinance's class is not public, so its version is pinned, this is
the only module that uses it, and a contract test compares its fields with those that are read here.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from yfinance.pricing_pb2 import PricingData

from producer_service.sources.yahoo_stream.trades import MarketSession, Trade
from quotes import MAX_CLOCK_SKEW, Invalid, price
from yahoo_requests.single_precision import shortest

_SESSIONS: Mapping[int, MarketSession] = {0: "PRE", 1: "REGULAR", 2: "POST"}
"""The values of `market_hours`. There are others, such as that of trading overnight, which the quotes do not have."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_MILLISECONDS = 2**43


class Garbage(ValueError):
    """The frame holds no trade that a quote could hold."""


class _Frame(msgspec.Struct):
    type: str
    message: str


def trade_of(frame: str | bytes, received: datetime) -> Trade | None:
    """The trade of a frame that was received at a time (aware UTC in milliseconds). Raises `Garbage`.

    None for a frame that is none of a price, or of a session that the quote endpoint does not have.
    """
    try:
        content = msgspec.json.decode(frame, type=_Frame)
        if content.type != "pricing":
            return None
        data: Any = PricingData.FromString(base64.b64decode(content.message, validate=True))
    except (msgspec.MsgspecError, ValueError, RecursionError, DecodeError) as error:
        raise Garbage(f"{type(error).__name__}: {error}") from error
    session = _SESSIONS.get(data.market_hours)
    if session is None:
        return None
    return Trade(
        symbol=data.id,
        time=_time(data.time, received),
        price=_price(data.price),
        session=session,
        received=received,
        volume=data.day_volume if data.day_volume > 0 else None,
    )


def _time(milliseconds: int, received: datetime) -> datetime:
    if not 0 < milliseconds < _MAX_MILLISECONDS:
        raise Garbage(f"time {milliseconds} is not in milliseconds since 1970")
    time = _EPOCH + timedelta(milliseconds=milliseconds)
    if time - received > MAX_CLOCK_SKEW:
        raise Garbage(f"time {time} is more than {MAX_CLOCK_SKEW} ahead")
    return time


def _price(single: float) -> Decimal:
    """The price. Zero means that there is none, as in the quotes."""
    try:
        amount = price(shortest(single))
    except Invalid as error:
        raise Garbage(str(error)) from error
    if not amount:
        raise Garbage("the price is 0")
    return amount
