"""The technical indicators of a symbol's closed bars, and the bytes of their state.

The stream function stores them with its minute bars, and the query function computes them for coarser bars.
"""

from indicators.codec import READS, WRITES, pack, unpack
from indicators.model import MAX_DIVISOR, NAMES, RETURN_MAX_GAP, WINDOW, Indicators, significant

__all__ = [
    "MAX_DIVISOR",
    "NAMES",
    "READS",
    "RETURN_MAX_GAP",
    "WINDOW",
    "WRITES",
    "Indicators",
    "pack",
    "significant",
    "unpack",
]
