"""Lanes: the unit of order from end to end, and the key of the processor's state. Pure.

A symbol's lane depends only on the symbol and the number of lanes, so all its quotes have one partition key and keep
their order.
"""

import re
from zlib import crc32

MAX_LANES = 99
"""A partition key has two digits for the lane."""
MAX_SYMBOLS_PER_LANE = 400
"""The most symbols that a producer puts into one lane. The lane's state is one DynamoDB item of limited size."""

_KEY = re.compile(r"lane-(\d{2})-of-(\d{2})", re.ASCII)


def lane_of(symbol: str, lanes: int) -> int:
    """The lane of a symbol, 0 to lanes - 1."""
    return crc32(symbol.encode()) % lanes


def partition_key(lane: int, lanes: int) -> str:
    """The Kinesis partition key of a lane: `lane-03-of-16`."""
    return f"lane-{lane:02d}-of-{lanes:02d}"


def lanes_of_key(key: str) -> int | None:
    """The number of lanes that a partition key names; None if it is not the partition key of a lane."""
    match = _KEY.fullmatch(key)
    if match is None or not int(match[1]) < int(match[2]):
        return None
    return int(match[2])
