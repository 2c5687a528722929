"""Where a day of a market begins, as a symbol's quotes tell it, and what was traded since. Pure."""

from __future__ import annotations

from datetime import timedelta

from lane_state import SymbolState
from quotes import REGULAR, Quote

NIGHT = timedelta(hours=6)
"""Between two quotes there is at least so much, if they are of two days of a market that closes."""


def is_new_day(before: SymbolState, quote: Quote) -> bool:
    """Whether a quote is the first against another day's close.

    A previous close that changes within a day is a correction. The days of a market that never closes are UTC's.
    """
    if not _has_another_close(before, quote):
        return False
    return _is_behind_night(before, quote) or quote.event_time.date() != before.event_time.date()


def traded(before: SymbolState, quote: Quote) -> int | None:
    """What was traded since the last cumulative volume.

    A new day starts from zero. It is told by a fall below half of it; and at the beginning of a session (before it the
    volume is yesterday's still) by any fall, or by another previous close. Another fall is a correction, in which
    nothing traded. What came before the first quote ever is unknown and counts as nothing.
    """
    now, last = quote.volume, before.volume
    if now is None:
        return None
    if last is None:
        return 0
    is_another_day = (now < last or _has_another_close(before, quote)) and _begins_session(before, quote)
    return now if now * 2 < last or is_another_day else max(now - last, 0)


def _begins_session(before: SymbolState, quote: Quote) -> bool:
    if quote.market_state == REGULAR and not before.is_open:
        return True
    return quote.market_state in (REGULAR, None) and _is_behind_night(before, quote)


def _is_behind_night(before: SymbolState, quote: Quote) -> bool:
    return quote.event_time - before.event_time > NIGHT


def _has_another_close(before: SymbolState, quote: Quote) -> bool:
    return before.previous_close not in (None, quote.previous_close) and quote.previous_close is not None
