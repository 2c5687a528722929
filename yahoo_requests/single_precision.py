"""Numbers in single precision (IEEE 754 binary32), in which Yahoo streams prices and stores the prices of charts. Pure.

A price is turned into the shortest decimal that rounds to the same binary32. It is not rounded to Yahoo's `priceHint`,
because the quote endpoint prints more digits than that for coins and currencies. So prices below 131,072 in whole cents
are the same in both. Above that, two binary32 numbers are further apart than a cent, and the price may be some cents
off.
"""

from __future__ import annotations

import struct
from decimal import Context, Decimal
from fractions import Fraction

_FLOAT = struct.Struct("<f")
_SURE_DIGITS, _MOST_DIGITS = 6, 9
"""Every decimal of 6 digits survives the way through binary32, and 9 digits name every binary32."""
_DOUBLE_DIGITS = Context(prec=15)
"""Every decimal of 15 digits survives the way through a double, in which Yahoo computes."""


def shortest(single: float) -> str:
    """The shortest decimal that rounds to the same binary32. `single` is finite, and a binary32 in a wider type."""
    packed = _FLOAT.pack(single)
    for digits in range(_SURE_DIGITS, _MOST_DIGITS):
        text = f"{single:.{digits}g}"
        if _FLOAT.pack(float(text)) == packed:
            return text
    return f"{single:.{_MOST_DIGITS}g}"


def unsplit(number: Decimal | int, ratio: Fraction) -> Decimal:
    """The price before a split, from the `number` that Yahoo prints after it: finite, and lower by the `ratio`.

    Yahoo divides the price and stores it as a binary32, which a chart prints in a wider type: 19.989999771118164. The
    result is the shortest decimal of at most 9 digits that gives this binary32 in the same way. A ratio of 1 is none.
    A number that is no binary32 is meant as it is printed.
    """
    single = float(number)
    if ratio == 1:
        return Decimal(shortest(single)) if is_single(single) else Decimal(number)
    product = Fraction(number) * ratio
    if not is_single(single):
        return _DOUBLE_DIGITS.divide(product.numerator, product.denominator)
    packed = _FLOAT.pack(single)
    for digits in range(_SURE_DIGITS, _MOST_DIGITS):
        candidate = Context(prec=digits).divide(product.numerator, product.denominator)
        if _FLOAT.pack(float(Fraction(candidate) / ratio)) == packed:
            return candidate
    return Context(prec=_MOST_DIGITS).divide(product.numerator, product.denominator)


def is_single(number: float) -> bool:
    """Whether a number is a binary32."""
    try:
        (rounded,) = _FLOAT.unpack(_FLOAT.pack(number))
    except OverflowError:
        return False
    return bool(rounded == number)


def is_same(one: Decimal, other: Decimal) -> bool:
    """Whether two prices are the same in single precision."""
    return _single(one) == _single(other)


def _single(price: Decimal) -> bytes:
    return _FLOAT.pack(float(price))
