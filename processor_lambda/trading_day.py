"""Where a trading day begins, judging by a symbol's quotes. Pure."""

from __future__ import annotations

from lane_state import SymbolState
from processor_lambda.volume_counter import NIGHT
from quotes import Quote


def is_new_day(before: SymbolState, quote: Quote) -> bool:
    """Whether a quote is the first with the previous close of a new day.

    A previous close that changes within a day is a correction. A market that never closes has UTC days.
    """
    if quote.previous_close is None or before.previous_close in (None, quote.previous_close):
        return False
    return quote.event_time - before.event_time > NIGHT or quote.event_time.date() != before.event_time.date()
