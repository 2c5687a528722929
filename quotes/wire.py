"""The bytes of a packet: JSON Lines, each line with a version. One encoder and one strict decoder. Pure.

A Kinesis record holds one packet, and a packet holds lines of one lane:

    {"kind":"quote","v":1,"symbol":"AAPL","event_time":"2026-11-23T14:30:00.000Z","price":171.62,…,"ingest_time":…}
    {"kind":"heartbeat","v":1,"lane":"lane-03-of-16","clock":"2026-11-23T14:31:00.000Z",…}
    {"kind":"action","v":1,"symbol":"NVDA","action":"split","event_time":"2024-06-10T13:30:00.000Z",…}

A field that the source did not give is absent. `quotes.grammar` says which lines are accepted. The encoder writes only
one of their forms, the canonical one: keys in a fixed order, no blanks, numbers without exponents and trailing zeros.

Later versions
--------------
Lines live for years in the archive, and for weeks in streams, journals, handover objects and queues. Therefore:

- A change of any kind raises `v`: a new field, kind or value of `action`, and also a wider limit. Within a version,
  nothing changes.
- A decoder accepts every version that was ever written, and refuses later ones. The reader of a version is deployed
  everywhere (processor, operator's commands, Athena's table) before the first producer writes it.
- A version may add optional fields and kinds, and may widen limits that the four grammars still hold. A field keeps its
  name, type, unit and meaning for ever. What needs another meaning gets another name. The identity of a quote
  (`symbol`, `event_time`, `revision`) and of an action, and the partition key of a symbol, never change.
- A field that is missing means what it meant before the field existed. So an old line needs no migration.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from quotes.grammar import decode_line
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
    day_open, high, low, close, volume = quote.open, quote.high, quote.low, quote.previous_close, quote.volume
    if day_open is None or high is None or low is None or close is None or volume is None or quote.currency is None:
        return _any_content(quote)
    # The usual quote has all these fields. Written as a text, it takes a third of the time of the others.
    source, rest = _texts(
        quote.source,
        quote.currency,
        quote.exchange,
        quote.market_state,
        quote.delay_minutes,
        quote.volume_period,
        quote.provenance,
    )
    prices = (
        f'{quote.price!s},"source":{source},"open":{day_open!s},"high":{high!s},"low":{low!s},'
        f'"previous_close":{close!s},'
    )
    if "0," in prices or "E" in prices or quote.source_time is not None:
        return _any_content(quote)  # a price may have trailing zeros, an exponent or a negative zero
    return (
        f'{_QUOTE_START}{quote.symbol}","event_time":"{to_iso(quote.event_time)}","price":{prices}"volume":{volume},{rest}'
    ).encode()


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
            good.append(GoodLine(number, content, decode_line(content)))
        except (msgspec.MsgspecError, Invalid, UnicodeError, RecursionError) as error:
            bad.append(BadLine(number, content, _reason(content, error)[:MAX_REASON]))
    return Decoded(tuple(good), tuple(bad))


class _QuoteOut(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag="quote", tag_field="kind"):
    v: int
    symbol: str
    event_time: str
    price: Raw | None
    source: str
    open: Raw | None = None
    high: Raw | None = None
    low: Raw | None = None
    previous_close: Raw | None = None
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
    amount: Raw | None = None
    currency: str | None = None


class _Header(msgspec.Struct, frozen=True):
    kind: Any = None
    v: Any = None


_QUOTE_START = f'{{"kind":"quote","v":{VERSION},"symbol":"'
_INGEST_TIME = ',"ingest_time":'
_ENCODER = msgspec.json.Encoder()
_HEADER = msgspec.json.Decoder(_Header)


def _any_content(quote: Quote) -> bytes:
    """The content of a quote with any fields and prices."""
    line = _QuoteOut(
        VERSION,
        quote.symbol,
        to_iso(quote.event_time),
        _canonical(quote.price),
        quote.source,
        _canonical(quote.open),
        _canonical(quote.high),
        _canonical(quote.low),
        _canonical(quote.previous_close),
        quote.volume,
        quote.currency,
        quote.exchange,
        quote.market_state,
        quote.delay_minutes,
        None if quote.source_time is None else to_iso(quote.source_time),
        quote.volume_period,
        quote.provenance,
    )
    return _ENCODER.encode(line)[:-1]  # the closing brace belongs to the receipt


# The texts of a symbol are the same all day.
@lru_cache(maxsize=4_096)
def _texts(source: str, *values: str | int | None) -> tuple[str, str]:
    """The source and the members after the volume, as JSON."""
    names = ("currency", "exchange", "market_state", "delay_minutes", "volume_period", "provenance")
    present = {name: value for name, value in zip(names, values, strict=True) if value is not None}
    return _ENCODER.encode(source).decode(), _ENCODER.encode(present).decode()[1:-1]


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


def _reason(content: bytes, error: Exception) -> str:
    """Why a line was refused, for a person. A wrong kind or version is named first, then a wrong field."""
    if not content:
        return "empty line"
    try:
        header = _HEADER.decode(content)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as broken:
        return f"not a JSON object: {broken}"
    if header.kind not in ("quote", "heartbeat", "action"):
        return f"unknown kind {header.kind!r:.40}"
    if header.v != VERSION or isinstance(header.v, bool):
        return f"version {header.v!r:.40} is not {VERSION}"
    return f"not UTF-8: {error}" if isinstance(error, UnicodeError) else str(error)
