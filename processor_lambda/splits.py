"""Detects stock splits. In the first quote after a split, the previous close is for new shares. Pure."""

from __future__ import annotations

import math
from datetime import timedelta
from fractions import Fraction

WHOLE_RATIOS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50, 100)
"""The whole ratios: new shares for an old one, or old shares for a new one in a reverse split."""
FRACTIONAL_RATIOS = (Fraction(3, 2), Fraction(4, 3), Fraction(5, 4))
"""The other ratios, in the same sense."""
WHOLE_TOLERANCE = 0.01
"""How far the last price may be from the official close, as a fraction of it."""
FRACTIONAL_TOLERANCE = 0.0025
"""The tolerance for `FRACTIONAL_RATIOS`. It is smaller: a price can fall by a fifth or a third without a split."""
MAX_AGE = timedelta(days=10)
"""The oldest last price that a split is detected from. Over a longer time, a price may halve without a split."""

_RATIOS = [(Fraction(ratio), WHOLE_TOLERANCE) for ratio in WHOLE_RATIOS] + [
    (ratio, FRACTIONAL_TOLERANCE) for ratio in FRACTIONAL_RATIOS
]


def split_ratio(last: float, previous_close: float, price: float) -> Fraction | None:
    """How many new shares there are for an old one, if a quote is the first after a split. None if it is not.

    `last` is the last price before the quote; `previous_close` and `price` are the quote's. Both must show the split.
    If only one of them does, it is a wrong number, and Yahoo has some of those. A reverse split has a ratio below 1.
    """
    if min(last, previous_close, price) <= 0:
        return None
    if abs(math.log(price / previous_close)) >= abs(math.log(price / last)):
        return None
    found = last / previous_close
    for ratio, tolerance in _RATIOS:
        if abs(found / ratio - 1) <= tolerance:
            return ratio
        if abs(found * ratio - 1) <= tolerance:
            return 1 / ratio
    return None
