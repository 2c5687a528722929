"""The bytes of a packet: JSON Lines, each line with a version. One encoder and one strict decoder. Pure.

A Kinesis record holds one packet, and a packet holds lines of one lane:

    {"kind":"quote","v":1,"symbol":"AAPL","event_time":"2026-11-23T14:30:00.000Z","price":171.62,…,"ingest_time":…}
    {"kind":"heartbeat","v":1,"lane":"lane-03-of-16","clock":"2026-11-23T14:31:00.000Z",…}
    {"kind":"action","v":1,"symbol":"NVDA","action":"split","event_time":"2024-06-10T13:30:00.000Z",…}

A field that the source did not give is absent. The decoder refuses fields that it does not know, so a new field needs a
new version, and the processor is deployed before the producer.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType
from msgspec.structs import replace

from quotes.model import Action, Heartbeat, Invalid, Line, Quote, price_text
from quotes.times import to_iso

VERSION = 1
MAX_LINES = 10_000
"""The most lines of a packet. A mebibyte holds at most 9,000 quotes. Without the limit, decoding a mebibyte of newlines
would take a gigabyte of memory."""
MAX_REASON = 200
"""The most characters of a reason, because a reason may quote the line."""


class BadLine(msgspec.Struct, frozen=True, gc=False):
    """A line that the decoder refused."""

    number: int
    """The number of the line in the packet, from 1."""
    content: bytes
    """The bytes of the line as received, without the newline."""
    reason: str
    """Why the line was refused, for a person."""


class GoodLine(msgspec.Struct, frozen=True, gc=False):
    """A line that the decoder accepted, with its bytes."""

    number: int
    content: bytes
    line: Line


class Decoded(msgspec.Struct, frozen=True):
    """A decoded packet. Every line is in exactly one of the two tuples, which keep the order of the packet."""

    good: tuple[GoodLine, ...]
    bad: tuple[BadLine, ...]


def encode(lines: Iterable[Line]) -> bytes:
    """The packet of some lines, in their order, with a newline after each."""
    return b"".join(encode_line(line) for line in lines)


def encode_line(line: Line) -> bytes:
    """One line with its newline. Equal lines have equal bytes, and a packet is the concatenation of its lines."""
    if isinstance(line, Heartbeat):
        complete_to = None if line.complete_to is None else to_iso(line.complete_to)
        return _ENCODER.encode(_HeartbeatOut(VERSION, line.lane, to_iso(line.clock), complete_to)) + b"\n"
    if isinstance(line, Action):
        return _ENCODER.encode(_action_out(line)) + b"\n"
    return encode_content(line) + encode_receipt(line.ingest_time, line.revision)


def encode_content(quote: Quote) -> bytes:
    """The first part of a quote's line, its content: everything but the ingest time and the revision."""
    event_time, source_time = to_iso(quote.event_time), None if quote.source_time is None else to_iso(quote.source_time)
    line = _QuoteOut(
        VERSION,
        quote.symbol,
        event_time,
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
        source_time,
        quote.volume_period,
        quote.provenance,
    )
    content = _ENCODER.encode(line)
    if _may_not_be_canonical(content):
        content = _ENCODER.encode(
            replace(
                line,
                price=_canonical(quote.price),
                open=_canonical(quote.open),
                high=_canonical(quote.high),
                low=_canonical(quote.low),
                previous_close=_canonical(quote.previous_close),
            )
        )
    return content[:-1]  # the closing brace belongs to the receipt


def encode_receipt(ingest_time: datetime, revision: int) -> bytes:
    """The second part of a quote's line, its receipt: the ingest time, and the revision unless it is 0.

    The quotes of one poll usually share their receipt, so the producer encodes it once and reuses it.
    """
    revised = f',"revision":{revision:d}' if revision else ""
    return f'{_INGEST_TIME}"{to_iso(ingest_time)}"{revised}}}\n'.encode()


def content_of(line: bytes) -> bytes:
    """The content at the beginning of a quote's encoded line, as `encode_content` wrote it."""
    return line.rpartition(_INGEST_TIME.encode())[0]


def decode(packet: bytes, *, max_lines: int = -1) -> Decoded:
    """Decode a packet line by line. It never raises, whatever the bytes are, and a bad line does not affect the others.

    An empty packet is one bad line. So is an empty line, except after the last newline. With `max_lines`, everything
    after that many lines is one bad line, newlines included. Decode packets from the stream with `MAX_LINES`.
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
    price: Decimal | Raw | None
    source: str
    open: Decimal | Raw | None = None
    high: Decimal | Raw | None = None
    low: Decimal | Raw | None = None
    previous_close: Decimal | Raw | None = None
    volume: int | None = None
    currency: str | None = None
    exchange: str | None = None
    market_state: str | None = None
    delay_minutes: int | None = None
    source_time: str | None = None
    volume_period: str | None = None
    provenance: str | None = None


class _HeartbeatOut(msgspec.Struct, frozen=True, omit_defaults=True, tag="heartbeat", tag_field="kind"):
    v: int
    lane: str
    clock: str
    complete_to: str | None = None


class _ActionOut(msgspec.Struct, frozen=True, omit_defaults=True, tag="action", tag_field="kind"):
    v: int
    symbol: str
    action: str
    event_time: str
    source: str
    ingest_time: str
    numerator: int | None = None
    denominator: int | None = None
    amount: Decimal | Raw | None = None
    currency: str | None = None


# Prices are JSON numbers. Their type here is Any, because msgspec also accepts strings such as "NaN" for a Decimal.
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
    source_time: datetime | UnsetType = UNSET
    volume_period: str | UnsetType = UNSET
    provenance: str | UnsetType = UNSET


class _HeartbeatIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="heartbeat", tag_field="kind"):
    v: Literal[1]
    lane: str
    clock: datetime
    complete_to: datetime | UnsetType = UNSET


class _ActionIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="action", tag_field="kind"):
    v: Literal[1]
    symbol: str
    action: Literal["split", "dividend"]
    event_time: datetime
    source: str
    ingest_time: datetime
    numerator: int | UnsetType = UNSET
    denominator: int | UnsetType = UNSET
    amount: Any = UNSET
    currency: str | UnsetType = UNSET


class _Header(msgspec.Struct, frozen=True):
    kind: Any = None
    v: Any = None


_INGEST_TIME = ',"ingest_time":'
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(_QuoteIn | _HeartbeatIn | _ActionIn, float_hook=Decimal)
_HEADER = msgspec.json.Decoder(_Header)


def _decode_line(content: bytes) -> Line:
    line = _DECODER.decode(content)
    if b"\r" in content:  # JSON's white space, but a line end for Athena and other readers of the archive
        raise Invalid("line", "has a carriage return")
    if isinstance(line, _HeartbeatIn):
        return Heartbeat(
            lane=line.lane, clock=line.clock, complete_to=None if line.complete_to is UNSET else line.complete_to
        )
    if isinstance(line, _ActionIn):
        return Action(
            symbol=line.symbol,
            action=line.action,
            event_time=line.event_time,
            source=line.source,
            ingest_time=line.ingest_time,
            numerator=None if line.numerator is UNSET else line.numerator,
            denominator=None if line.denominator is UNSET else line.denominator,
            amount=None if line.amount is UNSET else _number("amount", line.amount),
            currency=None if line.currency is UNSET else line.currency,
        )
    # Written without a helper function for absent fields: nine calls would be a seventh of the CPU of decoding a line.
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
        source_time=None if line.source_time is UNSET else line.source_time,
        volume_period=None if line.volume_period is UNSET else line.volume_period,
        provenance=None if line.provenance is UNSET else line.provenance,
    )


def _may_not_be_canonical(content: bytes) -> bool:
    """Whether a price may have trailing zeros, an exponent or a negative zero. Few lines look so."""
    end = content.find(b'"volume":')  # the prices are before it
    has_zeros = content.find(b'0,"', 0, end) > 0 or content.endswith(b"0}")
    return has_zeros or b"E-" in content or b"E+" in content or b":-0" in content


def _action_out(action: Action) -> _ActionOut:
    return _ActionOut(
        VERSION,
        action.symbol,
        action.action,
        to_iso(action.event_time),
        action.source,
        to_iso(action.ingest_time),
        action.numerator,
        action.denominator,
        _canonical(action.amount),
        action.currency,
    )


def _canonical(value: Decimal | None) -> Raw | None:
    return None if value is None else Raw(price_text(value).encode())


def _number(field: str, value: object) -> Decimal:
    if type(value) is Decimal:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    raise Invalid(field, "is not a number")


def _reason(content: bytes, error: Exception) -> str:
    """Why a line was refused, for a person. A wrong kind or version is named first, then a wrong field."""
    try:
        header = _HEADER.decode(content)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return f"not a JSON object: {error}" if content else "empty line"
    if header.kind not in ("quote", "heartbeat", "action"):
        return f"unknown kind {header.kind!r:.40}"
    if header.v != VERSION or isinstance(header.v, bool):
        return f"version {header.v!r:.40} is not {VERSION}"
    if isinstance(error, ArithmeticError):
        return "a number has an exponent that is too large"
    return f"not UTF-8: {error}" if isinstance(error, UnicodeError) else str(error)
