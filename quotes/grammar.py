"""Which lines are accepted, and what they mean. Pure.

Everybody who reads the archive or the tables has to read what the decoder read. Four grammars decide what that is:

- **DynamoDB**: a number has at most 38 digits and, unless it is zero, a magnitude from 1E-130 to 9.99E+125. `0e1000` is
  refused. A key is not empty, and a sort key has at most 1,024 bytes.
- **Athena** reads lines as Hive's JSON SerDe does. It ignores the case of keys, takes the last of repeated keys, and
  ignores what follows the object. It ends a line at a carriage return. A line that is no object, has a byte-order mark,
  or has a count that does not fit its column fails every query that reads it. A price column is text: the text of the
  number. (https://github.com/trinodb/trino, package `io.trino.hive.formats.line.json`)
- **Trino's SQL**: the views cast prices to `decimal(38,26)`, which has 12 digits before the point and 26 after it. A
  cast rounds further places, and fails on further digits. A `bigint` ends at 2**63 - 1.
  `from_iso8601_timestamp` accepts many forms of a time, but as texts, times compare only in one form.
- **DuckDB**: a repeated key or a lower-case letter in a time fails the whole query, and a JSON number becomes a double
  unless it is read from the text of the line, as `analytics.duckdb_engine` does.

So a line is one JSON object in UTF-8 by these rules, and any other line is refused with its reason:

- Keys may have any order, with blanks or tabs around them. Each is there once, in lower case and without escapes.
- A price is a JSON number without an exponent, with at most 12 digits before the point and 26 after it. Trailing zeros
  and the sign of zero mean nothing. A price may be zero or negative, as interest rates and futures are.
- A count is digits alone, and at most 2**63 - 1.
- A time is UTC in 24 characters, `2026-11-23T14:30:00.000Z`, from 1970 to 2199.
- A text is 1 to 40 printable ASCII characters (a symbol 1 to 32 of its own), escaped or not.
- Nothing is null or nested, there is no byte-order mark or carriage return, and only blanks follow the object.

A line of a quote in the encoder's form needs no examination. One regular expression recognizes it, and it is decoded
in about half the time of any other.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from quotes.model import PRICE_PLACES, Action, Heartbeat, Invalid, Line, Quote, price
from quotes.times import to_iso

_PRICES = frozenset({"price", "open", "high", "low", "previous_close", "amount"})
_COUNTS = frozenset({"revision", "volume", "delay_minutes", "numerator", "denominator"})
_TIMES = frozenset({"event_time", "ingest_time", "source_time", "clock", "complete_to"})


def decode_line(content: bytes) -> Line:
    """The line with this content. Raises `Invalid`, `msgspec.MsgspecError`, UnicodeError or RecursionError."""
    if _is_usual(content):
        try:
            return _QUOTE_DECODER.decode(content)
        except msgspec.DecodeError:
            pass  # the examination gives the reason
    return _examined(content)


# Prices are JSON numbers. Their type here is Any, because msgspec also accepts strings such as "NaN" for a Decimal.
class _QuoteIn(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, tag="quote", tag_field="kind"):
    v: Literal[1]
    symbol: str
    event_time: datetime
    price: Any
    source: str
    ingest_time: datetime
    revision: int | UnsetType = UNSET
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


class _Number(str):
    """The text of a JSON number."""

    __slots__ = ()


def _usual_pattern() -> re.Pattern[bytes]:
    """The form in which the encoder writes a quote. What the pattern leaves open is checked by `Quote`.

    An absent field is an empty alternative, because the quantifier `?` takes half as long again.
    """
    price, count, text, time = r"(?!-0)[-.0-9]+", r"[0-9]+", r'"[^"\\]+"', r'"[-:.T0-9]{23}Z"'
    required = f',"symbol":{text},"event_time":{time},"price":{price},"source":{text}'
    optional = {
        **dict.fromkeys(("open", "high", "low", "previous_close"), price),
        "volume": count,
        **dict.fromkeys(("currency", "exchange", "market_state"), text),
        "delay_minutes": count,
        "source_time": time,
        **dict.fromkeys(("volume_period", "provenance"), text),
    }
    members = "".join(f'(?:,"{name}":{value}|)' for name, value in optional.items())
    receipt = f',"ingest_time":{time}(?:,"revision":{count}|)'
    return re.compile(rf'\{{"kind":"quote","v":1{required}{members}{receipt}\}}'.encode())


_is_usual = _usual_pattern().fullmatch
_QUOTE_DECODER = msgspec.json.Decoder(Quote)
_DECODER = msgspec.json.Decoder(_QuoteIn | _HeartbeatIn | _ActionIn, float_hook=_Number)


def _examined(content: bytes) -> Line:
    """The line, if its form is one that everybody reads the same. Raises what `decode` catches."""
    line = _DECODER.decode(content)  # its types, and that no field is unknown, missing or null
    if b"\r" in content:  # JSON's white space, but a line end for Athena and other readers of the archive
        raise Invalid("line", "has a carriage return")
    fields: dict[str, Any] = {}
    members = json.loads(content, object_pairs_hook=list, parse_float=_Number, parse_int=_Number)
    for name, written in members:
        if name in fields:
            raise Invalid(name, "is in the line twice")
        if re.search(rb'"%s"[ \t]*:' % name.encode(), content) is None:
            raise Invalid(name, "is written with escapes")
        fields[name] = None if name in ("kind", "v") else _field(name, written, getattr(line, name))
    del fields["kind"], fields["v"]
    if isinstance(line, _QuoteIn):
        return Quote(**fields)
    return Heartbeat(**fields) if isinstance(line, _HeartbeatIn) else Action(**fields)


def _field(name: str, written: object, value: Any) -> Any:
    """The value of a field, if it is `written` in its one form."""
    if name in _PRICES:
        if not isinstance(written, _Number):
            raise Invalid(name, "is not a number")
        if "e" in written or "E" in written:
            raise Invalid(name, f"{written:.60} has an exponent: write all its digits instead")
        if len(written.partition(".")[2]) > PRICE_PLACES:
            raise Invalid(name, f"{written:.60} has more than {PRICE_PLACES} decimal places")
        return price(str(written), name)
    if name in _COUNTS and not str(written).isdigit():
        raise Invalid(name, f"{written!s:.60} is not a count")
    if name in _TIMES and to_iso(value) != written:
        raise Invalid(name, f"{written!r:.60} is not a UTC time like 2026-11-23T14:30:00.000Z")
    return value
