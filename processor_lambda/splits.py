"""Stock splits: those that the source declares, and those that prices show. Pure.

A declared split rescales the indicators once, however often it is declared: at the first quote from its time on, or, if
quotes in new shares came before the declaration, when it is declared. Of the closes that the indicators remember, those
before the price jumped are rescaled.

A split that no source declared is inferred from the first quote with another previous close: the previous close is in
new shares by then, and the last price in old ones. A declaration that follows corrects the inferred ratio. Inference
recognises

- ratios from 3 to 1,000 new shares for one, and as many old shares for one;
- ratios of two numbers up to `MAX_TERM`, from 6 for 5 on, in both directions.

It recognises no smaller ratio, such as 11 for 10, and nothing if the source gives no previous close, if the previous
close stays the same, or if the last price is over ten days old. Two things look like a split: a price that is a third
after some days without a poll, and a wrong previous close whose price is wrong by the same ratio.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from msgspec.structs import replace

from indicators import MAX_DIVISOR, Indicators
from lane_state import Split, SymbolState
from quotes import Action, Quote

USUAL_RATIOS = (*range(2, 11), 12, 15, 20, 25, 30, 35, 40, 45, 50, 60, 75, 80, 100, 150, 200, 250, 300, 400, 500, 1000)
"""The whole ratios that a company usually chooses. They are recognised with `WHOLE_TOLERANCE`."""
WHOLE_TOLERANCE = 0.01
"""How far the last price may be from the official close, as a fraction of it."""
FRACTION_TOLERANCE = 0.0025
"""The tolerance for ratios of two small numbers."""
EXACT_TOLERANCE = 0.0005
"""The tolerance for any whole ratio up to `MAX_EXACT`. It is that of rounding, if the last price was the close."""
MAX_EXACT = 100
PRICE_TOLERANCE = 0.2
"""How far a price may be from the last close, as a fraction of it, in the quotes after a split."""
MAX_TERM = 10
"""The largest number in the ratio of two small numbers."""
MAX_SHARES = 1_000
"""The largest number in any inferred ratio."""
LEAST = 1.19
"""The smallest inferred ratio: 6 for 5, with its tolerance."""
LEAST_FREE = 2.9
"""From this ratio on, any ratio is a split, because no price moves so far between two sessions."""
MAX_AGE = timedelta(days=10)
"""The longest time from the last price to the quote that shows a split, and from a declared split to its effects.

A price may halve without a split over a longer time. An inferred split is the declared one within this time."""
MAX_EARLY = timedelta(days=1)
"""How long before its declared time a split may show, as in the quotes before the market opens."""

_FRACTIONS = sorted(
    {Fraction(new, old) for new in range(2, MAX_TERM + 1) for old in range(2, new) if math.gcd(new, old) == 1}
)


class Found(NamedTuple):
    """A split that was found, and what to do about it."""

    split: Split | None
    """What to remember. None if the last split was a mistake."""
    ratio: Fraction | None = None
    """How many new shares there are for one share of the indicators. None if they stay as they are."""
    is_news: bool = False
    """Whether to raise the alert. A split that was inferred and then declared raises one alert."""
    is_late: bool = False
    """Whether the newest closes may be in new shares already."""


def by_quote(state: SymbolState, quote: Quote) -> Found | None:
    """The split whose first quote this is. None if there is none, or if it is applied already."""
    known = state.split
    if quote.previous_close == state.previous_close and (known is None or known.is_applied):
        return None
    ratio = _inferred(state, quote)
    if known is not None and not known.is_applied:
        earliest = known.time if ratio is None else known.time - MAX_EARLY
        if quote.event_time >= earliest:
            is_old = quote.event_time - known.time > MAX_AGE
            return Found(None) if is_old else _applied(known, is_late=state.price is None)
    return None if ratio is None else _by_prices(known, quote.event_time, ratio)


def _by_prices(known: Split | None, time: datetime, ratio: Fraction) -> Found | None:
    """The split that prices show. It may be one that is known: old answers of the source come in between."""
    if known is not None and time - known.time <= MAX_AGE:
        applied = Fraction(known.new, known.old)
        if known.is_declared or _is_near(ratio, applied):
            return None
        if _is_near(ratio, 1 / applied):
            return Found(None, 1 / applied, is_news=True)
    inferred = Split(time, ratio.numerator, ratio.denominator, is_declared=False, is_applied=True)
    return Found(inferred, ratio, is_news=True)


def declared(action: Action) -> Split | None:
    """The split that a corporate action declares. None if it is no split."""
    if action.numerator is None or action.denominator is None or action.numerator == action.denominator:
        return None
    return Split(action.event_time, action.numerator, action.denominator, is_declared=True, is_applied=False)


def by_declaration(state: SymbolState, split: Split) -> Found | None:
    """What a declared split changes. None if it or a later one is known, or if it is long over."""
    known = state.split
    if state.event_time - split.time > MAX_AGE:
        return None
    if known is not None and not known.is_declared and -MAX_EARLY <= known.time - split.time <= MAX_AGE:
        correction = Fraction(split.new, split.old) / Fraction(known.new, known.old)
        is_same = abs(correction - 1) <= 2 * WHOLE_TOLERANCE
        return Found(replace(split, is_applied=True), None if is_same else correction, is_late=True)
    if known is not None and split.time <= known.time:
        return None
    return Found(split) if split.time > state.event_time else _applied(split, is_late=True)


def _applied(split: Split, *, is_late: bool) -> Found:
    return Found(replace(split, is_applied=True), Fraction(split.new, split.old), is_news=True, is_late=is_late)


def rescaled(before: Indicators, found: Found, price: Decimal | None) -> Indicators:
    """The indicators in new shares. `price` is the newest price, in new shares.

    The closes before the last jump of the ratio are in old shares. Without such a jump, none are if the split was found
    late, and otherwise all: then the price has moved far since. After a ratio of over `MAX_DIVISOR`, the indicators
    start anew.
    """
    if found.ratio is None:
        return before
    if not 1 / MAX_DIVISOR <= found.ratio <= MAX_DIVISOR:
        return Indicators()
    ratio = float(found.ratio)
    prices = [*before.closes] if price is None else [*before.closes, float(price)]
    for count in range(len(prices) - 1, 0, -1):
        if _is_jump(prices[count - 1], prices[count], ratio):
            return before.rescaled(ratio, count)
    return before if found.is_late else before.rescaled(ratio, len(before.closes))


def _is_near(ratio: Fraction, other: Fraction) -> bool:
    """Whether two ratios are those of the same split, though the price has moved between them."""
    return abs(ratio / other - 1) <= PRICE_TOLERANCE


def _is_jump(before: float, after: float, ratio: float) -> bool:
    """Whether the change from one price to the next is nearer to that of a split than to none."""
    return min(before, after) > 0 and abs(math.log(before / after / ratio)) < abs(math.log(ratio)) / 2


def _inferred(state: SymbolState, quote: Quote) -> Fraction | None:
    """The ratio of the split that a quote shows. None if it shows none."""
    last, previous_close = state.price, quote.previous_close
    if last is None or previous_close is None or state.previous_close in (None, previous_close):
        return None
    if quote.event_time - state.event_time > MAX_AGE:
        return None
    return split_ratio(float(last), float(previous_close), float(quote.price))


def split_ratio(last: float, previous_close: float, price: float) -> Fraction | None:
    """How many new shares there are for an old one, if a quote is the first after a split. None if it is not.

    `last` is the last price before the quote; `previous_close` and `price` are the quote's. Both must show the split.
    If only one of them does, it is a wrong number, and Yahoo has some of those. A reverse split has a ratio below 1.
    """
    if min(last, previous_close, price) <= 0:
        return None
    if abs(math.log(price / previous_close)) >= abs(math.log(price / last)):
        return None
    if last > previous_close:
        return _nearest_ratio(last / previous_close)
    ratio = _nearest_ratio(previous_close / last)
    return None if ratio is None else 1 / ratio


def _nearest_ratio(found: float) -> Fraction | None:
    """The ratio that a company may have chosen, for a number that is at least 1."""
    if not LEAST <= found <= MAX_SHARES * (1 + WHOLE_TOLERANCE):
        return None
    whole = round(found)
    if 1 < whole <= MAX_EXACT and abs(found / whole - 1) <= EXACT_TOLERANCE:
        return Fraction(whole)
    candidates = [(Fraction(usual), WHOLE_TOLERANCE) for usual in USUAL_RATIOS]
    candidates += [(fraction, FRACTION_TOLERANCE) for fraction in _FRACTIONS]
    ratio, tolerance = min(candidates, key=lambda candidate: abs(found / candidate[0] - 1))
    if abs(found / ratio - 1) <= tolerance:
        return ratio
    return 1 / Fraction(1 / found).limit_denominator(MAX_SHARES) if found >= LEAST_FREE else None
