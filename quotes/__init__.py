"""The contract between producer and processor: what a quote is, and its bytes.

`model` defines quotes and heartbeats, `wire` encodes and decodes packets of them, and `lanes` computes the lane of
a symbol. Both programs import this package, and neither imports the other.
"""

from quotes.lanes import MAX_LANES, MAX_SYMBOLS_PER_LANE, lane_of, lanes_of_key, partition_key
from quotes.model import (
    MAX_CLOCK_SKEW,
    PRICE_PLACES,
    REGULAR,
    Heartbeat,
    Identity,
    Invalid,
    Line,
    Quote,
    is_symbol,
    price,
)
from quotes.times import from_iso, to_iso, whole_milliseconds
from quotes.wire import (
    MAX_LINES,
    VERSION,
    BadLine,
    Decoded,
    GoodLine,
    content_of,
    decode,
    encode,
    encode_content,
    encode_line,
    encode_receipt,
)

__all__ = [
    "MAX_CLOCK_SKEW",
    "MAX_LANES",
    "MAX_LINES",
    "MAX_SYMBOLS_PER_LANE",
    "PRICE_PLACES",
    "REGULAR",
    "VERSION",
    "BadLine",
    "Decoded",
    "GoodLine",
    "Heartbeat",
    "Identity",
    "Invalid",
    "Line",
    "Quote",
    "content_of",
    "decode",
    "encode",
    "encode_content",
    "encode_line",
    "encode_receipt",
    "from_iso",
    "is_symbol",
    "lane_of",
    "lanes_of_key",
    "partition_key",
    "price",
    "to_iso",
    "whole_milliseconds",
]
