"""States of version 1, which had no indicators and one rule, as states of today."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec
from msgspec.structs import asdict

from processor_lambda.state import Alert, Bar, Flag, LaneState, Publication, SymbolState


class _Bar(msgspec.Struct, frozen=True, kw_only=True):
    symbol: str
    minute: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int | None
    quotes: int
    ingest_time: datetime


class _Publication(msgspec.Struct, frozen=True):
    number: int
    bar: _Bar | None = None
    alert: Alert | None = None


class _SymbolState(msgspec.Struct, frozen=True, array_like=True):
    event_time: datetime
    revision: int
    volume: int | None
    bar: _Bar | None
    anomaly: int


class _LaneState(msgspec.Struct, frozen=True, kw_only=True):
    clock: datetime | None
    complete_to: datetime | None
    symbols: dict[str, _SymbolState]
    published: int
    pending: tuple[_Publication, ...]


_DECODER = msgspec.msgpack.Decoder(_LaneState)


def upgraded(packed: msgspec.Raw) -> LaneState:
    """The state of today that says what one of version 1 said; its position is the caller's."""
    old = _DECODER.decode(packed)
    return LaneState(
        clock=old.clock,
        complete_to=old.complete_to,
        symbols={symbol: _symbol(state) for symbol, state in old.symbols.items()},
        published=old.published,
        pending=tuple(Publication(item.number, _bar(item.bar), item.alert) for item in old.pending),
    )


def _symbol(old: _SymbolState) -> SymbolState:
    anomaly = old.anomaly
    return SymbolState(
        event_time=old.event_time,
        revision=old.revision,
        price=None if old.bar is None else old.bar.close,
        previous_close=None,
        volume=old.volume,
        is_open=False,
        delay_minutes=0,
        bar=_bar(old.bar),
        flags={"price_move": Flag(anomaly, anomaly, None)} if anomaly else {},
    )


def _bar(old: _Bar | None) -> Bar | None:
    return None if old is None else Bar(**asdict(old))
