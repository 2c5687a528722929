"""Prices in single precision (IEEE 754 binary32), which Yahoo streams. Pure.

A price is turned into the shortest decimal that rounds to the same binary32. It is not rounded to Yahoo's `priceHint`,
because the quote endpoint prints more digits than that for coins and currencies. So prices below 131,072 in whole cents
are the same in both. Above that, two binary32 numbers are further apart than a cent, and the streamed price may be some
cents off.
"""

from __future__ import annotations

import struct
from decimal import Decimal

_FLOAT = struct.Struct("<f")
_SURE_DIGITS, _MOST_DIGITS = 6, 9
"""Every decimal of 6 digits survives the way through binary32, and 9 digits name every binary32."""


def shortest(single: float) -> str:
    """The shortest decimal that rounds to the same binary32. `single` is finite, and a binary32 in a wider type."""
    packed = _FLOAT.pack(single)
    for digits in range(_SURE_DIGITS, _MOST_DIGITS):
        text = f"{single:.{digits}g}"
        if _FLOAT.pack(float(text)) == packed:
            return text
    return f"{single:.{_MOST_DIGITS}g}"


def is_same(one: Decimal, other: Decimal) -> bool:
    """Whether two prices are the same in single precision."""
    return _single(one) == _single(other)


def _single(price: Decimal) -> bytes:
    return _FLOAT.pack(float(price))
