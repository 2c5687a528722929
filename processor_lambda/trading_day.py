"""Where a trading day begins, judging by a symbol's quotes, and the volume between two quotes. Pure."""

from __future__ import annotations

from datetime import timedelta

from lane_state import SymbolState
from quotes import REGULAR, Quote

NIGHT = timedelta(hours=6)
"""The shortest time between the last quote of a day and the first of the next, in a market that closes."""


def is_new_day(before: SymbolState, quote: Quote) -> bool:
    """Whether a quote is the first with the previous close of a new day.

    A previous close that changes within a day is a correction. A market that never closes has UTC days.
    """
    if not _has_another_close(before, quote):
        return False
    return _follows_night(before, quote) or quote.event_time.date() != before.event_time.date()


def traded(before: SymbolState, quote: Quote) -> int | None:
    """The volume traded since the last quote. None if the quote has no volume.

    The source gives the cumulative volume of the day, which starts from zero on a new day. The day is new if the volume
    fell below half of the last. At the beginning of a session, any fall or another previous close is enough (before the
    session, the source still gives the volume of the day before). Any other fall is a correction, and nothing was
    traded. The volume before the first quote of a symbol is unknown and counts as zero.
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
    return quote.market_state in (REGULAR, None) and _follows_night(before, quote)


def _follows_night(before: SymbolState, quote: Quote) -> bool:
    return quote.event_time - before.event_time > NIGHT


def _has_another_close(before: SymbolState, quote: Quote) -> bool:
    return before.previous_close not in (None, quote.previous_close) and quote.previous_close is not None
