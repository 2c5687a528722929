"""The splits of a symbol, which Yahoo applies to all numbers of the times before them. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import datetime
from decimal import Context, Decimal
from fractions import Fraction

from quotes import Action

_AMOUNT_PLACES = 6
"""Yahoo rounds a divided dividend to so many places: a 28th of 2.65 is 0.094643."""
_DOUBLE_DIGITS = 15


class SplitRatios:
    """How many shares of today one share of an earlier time is. Answers in logarithmic time."""

    def __init__(self, actions: Iterable[Action], now: datetime) -> None:
        """Actions that are no splits are ignored, and so are splits after `now`. The same split may come twice."""
        found = {
            action.event_time: Fraction(action.numerator, action.denominator)
            for action in actions
            if action.numerator and action.denominator and action.event_time <= now
        }
        self._times = sorted(found)
        self._ratios = [Fraction(1)]
        """The ratio from each split on, the newest first, after the ratio of none."""
        for time in reversed(self._times):
            self._ratios.append(self._ratios[-1] * found[time])

    def since(self, moment: datetime) -> Fraction:
        """The ratio of all splits that take effect at a moment or later."""
        return self._ratios[len(self._times) - bisect_left(self._times, moment)]

    def after(self, moment: datetime) -> Fraction:
        """The ratio of all splits that take effect after a moment."""
        return self._ratios[len(self._times) - bisect_right(self._times, moment)]


def undivided(amount: Decimal, ratio: Fraction) -> Decimal:
    """The dividend of one share of its time, from the `amount` that Yahoo prints after splits of this `ratio`.

    The result is the shortest decimal from which Yahoo's division and rounding give this amount.
    """
    if ratio == 1:
        return amount
    product = Fraction(amount) * ratio
    exponent = amount.as_tuple().exponent
    places = max(_AMOUNT_PLACES, -exponent if isinstance(exponent, int) else 0)
    rounding = Fraction(1, 2 * 10**places)
    for digits in range(1, _DOUBLE_DIGITS):
        candidate = Context(prec=digits).divide(product.numerator, product.denominator)
        if abs(Fraction(candidate) / ratio - Fraction(amount)) <= rounding:
            return candidate
    return Context(prec=_DOUBLE_DIGITS).divide(product.numerator, product.denominator)
