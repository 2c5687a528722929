"""What the processor remembers of a lane between batches: one item, packed and compressed."""

from __future__ import annotations

import zlib
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from quotes import MAX_LINES

VERSION = 2

_ALERT_ENCODER = msgspec.json.Encoder(decimal_format="number")


class Position(NamedTuple):
    """A place on the stream: a line of a record. Sorts as the stream of one lane does."""

    sequence: int
    """The record's sequence number; of up to 56 digits, so as text it does not sort."""
    line: int
    """The number of a line in it, from 1; `WHOLE` is behind its last."""

    def __str__(self) -> str:
        return str(self.sequence) if self.line == WHOLE else f"{self.sequence}+{self.line}"

    @classmethod
    def of(cls, text: str) -> Position:
        """The position that `str` wrote."""
        sequence, _, line = text.partition("+")
        return cls(int(sequence), int(line) if line else WHOLE)


WHOLE = MAX_LINES + 1
"""A packet is decoded up to so many lines, so none has a greater number."""
START = Position(-1, WHOLE)
"""Before the first record."""


class Bar(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
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
    line: bytes = b""
    """The last of them as it stood on the stream, where it is to be the row of the minute."""
    indicators: dict[str, float] = {}
    """What `indicators.NAMES` lists, as far as it is known; set when the bar closes."""


class Alert(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that a person should know."""

    id: str
    """The same for the same cause, however often it is published."""
    rule: str
    """The rule's name."""
    severity: str
    symbol: str
    """The symbol, or the partition key of the lane where it is about several."""
    timestamp: str
    """The range key of the row or bar that raised it, or the clock of the heartbeat."""
    subject: str
    """One line for a person, ASCII, under 100 characters (what SNS takes)."""
    values: dict[str, Decimal]
    """What raised it, by name."""
    symbols: tuple[str, ...] = ()
    """All of them, where it is about several."""


def encode_alert(alert: Alert) -> bytes:
    """An alert as JSON, its values as numbers: what subscribers receive."""
    return _ALERT_ENCODER.encode(alert)


class Flag(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is remembered of a rule and a symbol, unless it is at rest."""

    side: int
    """Where the signal is on: 1 above its band, -1 below it, 0 off."""
    announced: int
    """The side that was alerted on last; 0 once the signal went off."""
    raised_at: datetime | None
    """When the last alert was raised; None once the rule's cooldown is over."""


class Publication(msgspec.Struct, frozen=True):
    """What was decided by a commit and is to be shown after it. Numbers rise by one within a lane."""

    number: int
    bar: Bar | None = None
    alert: Alert | None = None


class SymbolState(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What is remembered of a symbol."""

    event_time: datetime
    """Of the last quote that moved this state, with its revision."""
    revision: int
    price: Decimal | None
    """As last quoted; None only after an upgrade from version 1."""
    previous_close: Decimal | None
    """As last said."""
    volume: int | None
    """The day's cumulative volume as last said."""
    is_open: bool
    """Whether the source last said that its market is in regular session."""
    delay_minutes: int
    """What the source declares."""
    bar: Bar | None
    """The minute under way."""
    indicators: bytes = b""
    """Of the closed minutes, packed by themselves, since most batches close none; empty before the first."""
    flags: dict[str, Flag] = {}
    """By the names of the rules; those at rest are absent."""
    open_since: datetime | None = None
    """When the source first said that the market is open, by the producer's clock; None while it is not."""
    interval_ms: int = 225_000
    """The longest usual time between two quotes in an open market, as far as it is remembered.

    A new symbol's is a quarter of `StaleFeed.minutes`, which is then what counts.
    """

    @property
    def silent_since(self) -> datetime:
        """When the last quote was; at the open that is of the day before, so nothing is counted from before it."""
        if self.open_since is None or self.open_since < self.event_time:
            return self.event_time
        return self.open_since


class LaneState(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a lane. Its fold is in `fold`, its place in DynamoDB in `dynamodb`."""

    position: Position = START
    """Of the last line folded in."""
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


class _Header(msgspec.Struct, frozen=True):
    version: int
    state: msgspec.Raw
    last_sequence: str  # too long for an integer of msgpack, as is all of a position


_LEVEL = 4
"""Of zlib. 6 makes a state 1 % smaller and takes twice the time, a tenth of the CPU of a quote in small batches."""
_ENCODER = msgspec.msgpack.Encoder()
_HEADER = msgspec.msgpack.Decoder(_Header)
_STATE = msgspec.msgpack.Decoder(LaneState)


def pack(state: LaneState) -> bytes:
    """The bytes of a state: under 640 a symbol when all its indicators are known, under a kilobyte of one alone.

    What a commit publishes is bounded (`fold.MAX_PUBLICATIONS`), so that all of it stays under DynamoDB's 400 KB.
    """
    body = _ENCODER.encode(replace(state, position=START))
    return zlib.compress(_ENCODER.encode(_Header(VERSION, msgspec.Raw(body), str(state.position))), _LEVEL)


def unpack(packed: bytes) -> LaneState:
    """The state that `pack` wrote, of this version or an older one. ValueError if a newer program wrote it."""
    header = _HEADER.decode(zlib.decompress(packed))
    if header.version > VERSION:
        msg = f"the state is of version {header.version} and this program reads up to {VERSION}: deploy the newer one"
        raise ValueError(msg)
    if header.version == 1:
        from processor_lambda import state_v1  # noqa: PLC0415  (it imports this module, and is rarely wanted)

        state = state_v1.upgraded(header.state)
    else:
        state = _STATE.decode(header.state)
    return replace(state, position=Position.of(header.last_sequence))
