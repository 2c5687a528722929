"""The size of an item as DynamoDB counts it, from its JSON form. Pure.

Names and strings count in UTF-8, a number counts half of its digits and a byte more, and binary values count as they
are: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html

This module imports nothing of the project, because the emulator's process loads it alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def item_size(item: Mapping[str, Mapping[str, Any]]) -> int:
    """The size in bytes of an item like `{"symbol": {"S": "AAPL"}, "price": {"N": "1.5"}}`."""
    return sum(len(name.encode()) + value_size(value) for name, value in item.items())


def value_size(value: Mapping[str, Any]) -> int:
    """The size in bytes of one attribute's value."""
    ((kind, content),) = value.items()
    size = 1  # the size of true, false and null
    match kind:
        case "S":
            size = len(content.encode())
        case "N":
            size = -(-len(content.strip("-").replace(".", "").strip("0")) // 2) + 1 + content.startswith("-")
        case "B":
            size = decoded_size(content)
        case "L":
            size = 3 + sum(1 + value_size(each) for each in content)
        case "M":
            size = 3 + sum(1 + len(name.encode()) + value_size(each) for name, each in content.items())
        case "SS" | "NS" | "BS":
            size = sum(value_size({kind[0]: each}) for each in content)
    return size


def decoded_size(base64: str) -> int:
    """The number of bytes that a text in base64 encodes."""
    return len(base64) * 3 // 4 - base64[-2:].count("=")
