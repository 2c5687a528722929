"""JSON texts. Numbers keep the digits that are stored: they are never floats. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

import msgspec

from query_api.ports import Attribute, Item
from quotes import to_iso

_encode = msgspec.json.Encoder().encode


def text(value: str) -> str:
    """A JSON string."""
    return _encode(value).decode()


def number(value: Decimal) -> str:
    """A JSON number with all digits and without an exponent."""
    digits = str(value)
    return format(value, "f") if "E" in digits else digits


def value_of(attribute: Attribute) -> str:
    """The JSON of an attribute. The text of a number is the number."""
    if attribute.N is not None:
        return attribute.N
    if attribute.S is not None:
        return text(attribute.S)
    if attribute.L is not None:
        return f"[{','.join([value_of(each) for each in attribute.L])}]"
    if attribute.M is not None:
        return "{" + ",".join([f"{text(name)}:{value_of(each)}" for name, each in attribute.M.items()]) + "}"
    return "null"


def object_of(item: Item, names: Iterable[str]) -> str:
    """A JSON object of those attributes of an item that are there, in the order of the names."""
    return "{" + ",".join([f'"{name}":{value_of(item[name])}' for name in names if name in item]) + "}"


def as_of(time: datetime | None) -> str:
    """The member `as_of`."""
    return '"as_of":null' if time is None else f'"as_of":"{to_iso(time)}"'


def next_of(cursor: str | None) -> str:
    """The member `next`."""
    return f'"next":{"null" if cursor is None else text(cursor)}'
