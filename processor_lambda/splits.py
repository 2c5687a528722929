"""Stock splits, told from the first quote after one: its previous close is in new shares, what is remembered in old."""

from __future__ import annotations

import math
from datetime import timedelta
from fractions import Fraction

WHOLE = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50, 100)
"""New shares for one, or old shares for one in a reverse split."""
PARTS = (Fraction(3, 2), Fraction(4, 3), Fraction(5, 4))
WHOLE_TOLERANCE = 0.01
"""How far the last price that was seen may be from the official close, relative."""
PARTS_TOLERANCE = 0.0025
"""Less, as a market can fall by a fifth or a third by itself."""
MAX_AGE = timedelta(days=10)
"""Of the last price: over more time a price may halve without a split."""

_RATIOS = [(Fraction(ratio), WHOLE_TOLERANCE) for ratio in WHOLE] + [(ratio, PARTS_TOLERANCE) for ratio in PARTS]


def split_ratio(last: float, previous_close: float, price: float) -> Fraction | None:
    """New shares for each old one, if a split is what sets a quote apart from the last price before it.

    `last` is that price; `previous_close` and `price` are the quote's. Both must tell of the split: one alone is a
    wrong number, of which Yahoo has some. Below 1 for a reverse split; None if there was none.
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
