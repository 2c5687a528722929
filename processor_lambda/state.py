"""What the processor remembers of a lane between batches: one item, packed and compressed."""

from __future__ import annotations

import zlib
from datetime import datetime
from decimal import Decimal

import msgspec
from msgspec.structs import replace

VERSION = 1

_ALERT_ENCODER = msgspec.json.Encoder(decimal_format="number")


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One minute of one symbol. Prices as quoted; times aware UTC."""

    symbol: str
    minute: datetime
    """The minute's start."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int | None
    """What was traded in the minute, from the day's cumulative volume; None where the source never said."""
    quotes: int
    """How many quotes made it."""
    ingest_time: datetime
    """When the last of them was received."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person should know."""

    id: str
    """The same for the same cause, however often it is published."""
    rule: str
    severity: str
    symbol: str
    timestamp: str
    """The range key of the row that raised it."""
    subject: str
    """One line for a person, ASCII, under 100 characters (what SNS takes)."""
    values: dict[str, Decimal]
    """What raised it, by name."""


def encode_alert(alert: Alert) -> bytes:
    """An alert as JSON, its values as numbers: what subscribers receive."""
    return _ALERT_ENCODER.encode(alert)


class Publication(msgspec.Struct, frozen=True):
    """What was decided by a commit and is to be shown after it. Numbers rise by one within a lane."""

    number: int
    bar: Bar | None = None
    alert: Alert | None = None


class SymbolState(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of a symbol."""

    event_time: datetime
    """Of the last quote that moved this state, with its revision."""
    revision: int
    volume: int | None
    """The day's cumulative volume as last said."""
    bar: Bar | None
    """The minute under way."""
    anomaly: int
    """Where the last change that was known lay: 1 above the threshold, -1 below its negative, 0 between."""


class LaneState(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a lane. Its fold is in `fold`, its place in DynamoDB in `dynamodb`."""

    last_sequence: int = -1
    """The sequence number of the last record folded in; -1 before the first."""
    clock: datetime | None = None
    """Of the last heartbeat."""
    complete_to: datetime | None = None
    """Minutes that end at or before it are closed."""
    symbols: dict[str, SymbolState] = {}
    published: int = 0
    """The number of the last publication before the pending ones."""
    pending: tuple[Publication, ...] = ()
    """Decided with this commit. They count as shown up to the lane's published mark, an item of its own."""

    @property
    def last_number(self) -> int:
        """The number of the last publication ever decided in this lane."""
        return self.pending[-1].number if self.pending else self.published


class _Packed(msgspec.Struct, frozen=True):
    version: int
    last_sequence: str  # too long for an integer of msgpack
    state: LaneState


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Packed)


def pack(state: LaneState) -> bytes:
    """The bytes of a state: 30 KB for a lane of 400 symbols, and 45 for each thousand pending publications.

    A commit is of so few lines (`processor.COMMIT_LINES`) that both stay under DynamoDB's 400 KB an item.
    """
    return zlib.compress(_ENCODER.encode(_Packed(VERSION, str(state.last_sequence), replace(state, last_sequence=-1))))


def unpack(packed: bytes) -> LaneState:
    """The state that `pack` wrote. ValueError if a newer version of this program wrote it."""
    unpacked = _DECODER.decode(zlib.decompress(packed))
    if unpacked.version > VERSION:
        msg = f"the state is of version {unpacked.version} and this program reads up to {VERSION}: deploy the newer one"
        raise ValueError(msg)
    return replace(unpacked.state, last_sequence=int(unpacked.last_sequence))
