"""The bytes of a packet: JSON Lines, each line versioned; one encoder, one strict decoder.

A Kinesis record holds one packet, a packet the lines of one lane:

    {"kind":"quote","v":1,"symbol":"AAPL","event_time":"2026-11-23T14:30:00.000Z","price":171.62,…,"ingest_time":…}
    {"kind":"heartbeat","v":1,"lane":"lane-03-of-16","clock":"2026-11-23T14:31:00.000Z",…}

What a source did not say is absent. A new field is a new version: the decoder takes no field it does not know, so the
processor is rolled out before the producer.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from quotes.model import Heartbeat, Invalid, Line, Quote
from quotes.times import to_iso

VERSION = 1
MAX_LINES = 10_000
"""Of a packet. A mebibyte of quotes holds 9,000 at the most; one of newlines would take a gigabyte to tell apart."""
MAX_REASON = 200
"""Characters; a reason may quote the line."""


class BadLine(msgspec.Struct, frozen=True, gc=False):
    """A line that the decoder refused."""

    number: int
    """Its place in the packet, from 1."""
    content: bytes
    """Its bytes as received, without the newline."""
    reason: str


class GoodLine(msgspec.Struct, frozen=True, gc=False):
    """A line that the decoder understood, with the bytes that said it."""

    number: int
    content: bytes
    line: Line


class Decoded(msgspec.Struct, frozen=True):
    """A packet taken apart. Every line of it is in exactly one of the two, in the order of the packet."""

    good: tuple[GoodLine, ...]
    bad: tuple[BadLine, ...]


def encode(lines: Iterable[Line]) -> bytes:
    """The packet of some lines, in their order, each ended by a newline."""
    return b"".join(encode_line(line) for line in lines)


def encode_line(line: Line) -> bytes:
    r"""One line with its newline. Equal lines have equal bytes; a packet is the concatenation of its lines."""
    if isinstance(line, Heartbeat):
        complete_to = None if line.complete_to is None else to_iso(line.complete_to)
        return _ENCODER.encode(_HeartbeatOut(VERSION, line.lane, to_iso(line.clock), complete_to)) + b"\n"
    return encode_content(line) + encode_receipt(line.ingest_time, line.revision)


def encode_content(quote: Quote) -> bytes:
    """The beginning of a quote's line, which is its content: all but when it was received, and its revision."""
    line = _ENCODER.encode(
        _QuoteOut(
            VERSION,
            quote.symbol,
            to_iso(quote.event_time),
            quote.price,
            quote.source,
            quote.open,
            quote.high,
            quote.low,
            quote.previous_close,
            quote.volume,
            quote.currency,
            quote.exchange,
            quote.market_state,
            quote.delay_minutes,
        )
    )
    return line[:-1]  # the brace, which is the receipt's


def encode_receipt(ingest_time: datetime, revision: int) -> bytes:
    """The rest of a quote's line: when it was received, and its revision unless it is 0. Of a poll they are mostly one.

    A line is content and receipt, so the producer writes a poll's receipt once, and one that it revises not anew.
    """
    revised = f',"revision":{revision:d}' if revision else ""
    return f'{_INGEST_TIME}"{to_iso(ingest_time)}"{revised}}}\n'.encode()


def content_of(line: bytes) -> bytes:
    """The content at the beginning of a quote's encoded line, as `encode_content` wrote it."""
    return line.rpartition(_INGEST_TIME.encode())[0]


def decode(packet: bytes, *, max_lines: int = -1) -> Decoded:
    """Take a packet apart, line by line. Never raises, whatever the bytes; a bad line never spoils its neighbours.

    An empty packet is one bad line, as is an empty line anywhere but behind the last newline. With
    `max_lines`, what comes behind so many is one bad line, newlines and all; a packet from outside wants `MAX_LINES`.
    """
    good: list[GoodLine] = []
    bad: list[BadLine] = []
    contents = packet.split(b"\n", max_lines)
    if len(contents) > 1 and not contents[-1]:
        contents.pop()
    for number, content in enumerate(contents, start=1):
        try:
            good.append(GoodLine(number, content, _decode_line(content)))
        except (msgspec.MsgspecError, Invalid, ArithmeticError, UnicodeError, RecursionError) as error:
            bad.append(BadLine(number, content, _reason(content, error)[:MAX_REASON]))
    return Decoded(tuple(good), tuple(bad))


class _QuoteOut(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag="quote", tag_field="kind"):
    v: int
    symbol: str
    event_time: str
    price: Decimal
    source: str
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    previous_close: Decimal | None = None
    volume: int | None = None
    currency: str | None = None
    exchange: str | None = None
    market_state: str | None = None
    delay_minutes: int | None = None


class _HeartbeatOut(msgspec.Struct, frozen=True, omit_defaults=True, tag="heartbeat", tag_field="kind"):
    v: int
    lane: str
    clock: str
    complete_to: str | None = None


# Prices come in as Any: msgspec would take a Decimal from a string too ("NaN" among them), and the wire has numbers.
class _QuoteIn(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, tag="quote", tag_field="kind"):
    v: Literal[1]
    symbol: str
    event_time: datetime
    price: Any
    source: str
    ingest_time: datetime
    revision: int = 0
    open: Any = UNSET
    high: Any = UNSET
    low: Any = UNSET
    previous_close: Any = UNSET
    volume: int | UnsetType = UNSET
    currency: str | UnsetType = UNSET
    exchange: str | UnsetType = UNSET
    market_state: str | UnsetType = UNSET
    delay_minutes: int | UnsetType = UNSET


class _HeartbeatIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="heartbeat", tag_field="kind"):
    v: Literal[1]
    lane: str
    clock: datetime
    complete_to: datetime | UnsetType = UNSET


class _Header(msgspec.Struct, frozen=True):
    kind: Any = None
    v: Any = None


_INGEST_TIME = ',"ingest_time":'
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(_QuoteIn | _HeartbeatIn, float_hook=Decimal)
_HEADER = msgspec.json.Decoder(_Header)


def _decode_line(content: bytes) -> Line:
    line = _DECODER.decode(content)
    if b"\r" in content:  # white space to JSON, and the end of a line to Athena and others that read the archive
        raise Invalid("line", "has a carriage return")
    if isinstance(line, _HeartbeatIn):
        return Heartbeat(
            lane=line.lane, clock=line.clock, complete_to=None if line.complete_to is UNSET else line.complete_to
        )
    # No helper function for what is absent: nine calls of one are a seventh of a decoded line.
    return Quote(
        symbol=line.symbol,
        event_time=line.event_time,
        revision=line.revision,
        price=_number("price", line.price),
        source=line.source,
        ingest_time=line.ingest_time,
        open=None if line.open is UNSET else _number("open", line.open),
        high=None if line.high is UNSET else _number("high", line.high),
        low=None if line.low is UNSET else _number("low", line.low),
        previous_close=None if line.previous_close is UNSET else _number("previous_close", line.previous_close),
        volume=None if line.volume is UNSET else line.volume,
        currency=None if line.currency is UNSET else line.currency,
        exchange=None if line.exchange is UNSET else line.exchange,
        market_state=None if line.market_state is UNSET else line.market_state,
        delay_minutes=None if line.delay_minutes is UNSET else line.delay_minutes,
    )


def _number(field: str, value: object) -> Decimal:
    if type(value) is Decimal:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    raise Invalid(field, "is not a number")


def _reason(content: bytes, error: Exception) -> str:
    """Why a line was refused, in words for a person: the version and the kind first, then the field."""
    try:
        header = _HEADER.decode(content)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return f"not a JSON object: {error}" if content else "empty line"
    if header.kind not in ("quote", "heartbeat"):
        return f"unknown kind {header.kind!r:.40}"
    if header.v != VERSION or isinstance(header.v, bool):
        return f"version {header.v!r:.40} is not {VERSION}"
    if isinstance(error, ArithmeticError):
        return "a number with an exponent beyond all bounds"
    return f"not UTF-8: {error}" if isinstance(error, UnicodeError) else str(error)
