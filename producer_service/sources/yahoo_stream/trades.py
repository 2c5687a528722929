"""A streamed trade, and what it adds to a quote. Pure."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

MarketSession = Literal["PRE", "REGULAR", "POST"]
"""When a trade was made: before, in or after the regular session."""


class Trade(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one streamed message says."""

    symbol: str
    """As Yahoo writes it."""
    time: datetime
    """The exchange's time, aware UTC in milliseconds."""
    price: Decimal
    """The shortest decimal of a binary32: see `single_precision`."""
    session: MarketSession
    received: datetime
    """When the message came, aware UTC in milliseconds."""
    volume: int | None = None
    """The volume of the day up to this trade, or of the last 24 hours. None if Yahoo does not say."""
