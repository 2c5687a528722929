"""The contract between producer and processor: what a quote is, and its bytes.

`model` defines quotes, heartbeats and corporate actions, `wire` encodes and decodes packets of them, and `lanes`
computes the lane of a symbol. `bounds` reads files without trusting their size. Both programs import this package, and
neither imports the other.
"""

from quotes.lanes import MAX_LANES, MAX_SYMBOLS_PER_LANE, lane_of, lanes_of_key, partition_key
from quotes.model import (
    BACKFILL,
    MAX_ACTION_LEAD,
    MAX_CLOCK_SKEW,
    MAX_PRICE,
    PRICE_PLACES,
    REGULAR,
    ROLLING_DAY,
    Action,
    Heartbeat,
    Identity,
    Invalid,
    Line,
    Quote,
    is_symbol,
    price,
    price_text,
    short_price,
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
    "BACKFILL",
    "MAX_ACTION_LEAD",
    "MAX_CLOCK_SKEW",
    "MAX_LANES",
    "MAX_LINES",
    "MAX_PRICE",
    "MAX_SYMBOLS_PER_LANE",
    "PRICE_PLACES",
    "REGULAR",
    "ROLLING_DAY",
    "VERSION",
    "Action",
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
    "price_text",
    "short_price",
    "to_iso",
    "whole_milliseconds",
]
