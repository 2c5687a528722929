"""What was traded between two quotes, judging by the cumulative volume that the source gives. Pure.

The cumulative volume is a counter that starts from zero in each session of the market. `SymbolState` remembers the
session that the counter is in: how far its volume has counted (`volume`), the previous close that names it
(`session_close`), and the session before it (`last_session`). The first row that fits a quote applies:

| the quote | so | what counts as traded |
|---|---|---|
| has no volume, or that of 24 hours | the counter says nothing | unknown (None) |
| is the first with a volume | the session begins for us | 0, as nobody knows what came before |
| has the session's close or none, and the volume did not fall | the session goes on | the difference |
| is the first of an open market after a night | another session begins | the whole volume |
| has the close of the session before, and at least half of its volume | that session goes on | the difference |
| has another close, and the volume fell below half | another session begins | the whole volume |
| has a close that the last quote did not have, and the volume is 0 | another session begins | 0 |
| has another close, and the volume did not fall | the close was corrected | the difference |
| no close is known, and the volume fell below half on another UTC day | another session begins | the whole volume |
| neither close nor market state are known, and the volume fell below half | another session begins | the whole volume |
| has a volume of 0 | the source did not know it | 0 |
| has a smaller volume in any other case | it was corrected, or is an old answer | 0, or less (see below) |

After a fall within a session, nothing counts as traded until the counter passes what has counted. The bar of the
current minute gives back what it counted too much, and closed bars stay as they are. So the bars of a session add up to
the last volume that the source gave, unless that is less than what the closed bars have counted.

The counter cannot tell some things. A session that follows another one without a night, under the same previous close,
counts only once its volume passes that of the other. A volume that falls below half for a while, after the source
corrected the previous close of the session, counts as another session.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import msgspec

from lane_state import Session, SymbolState
from quotes import REGULAR, Quote

NIGHT = timedelta(hours=6)
"""The shortest time between the last quote of a session and the first of the next, in a market that closes."""


class Count(msgspec.Struct, frozen=True, gc=False):
    """What a quote does to the counter of its symbol."""

    volume: int | None
    """The fields of `SymbolState` after the quote."""
    session_close: Decimal | None
    last_session: Session | None
    traded: int | None
    """What the quote adds to the bar of its minute. It is negative if the bar gives something back."""


def count(before: SymbolState, quote: Quote) -> Count:
    """Count the volume of a quote."""
    now, last, close = quote.volume, before.volume, quote.previous_close
    if now is None or quote.volume_period is not None:
        return Count(last, before.session_close, before.last_session, None)
    if last is None:
        return Count(now, close, None, 0)
    has_another_close = close is not None and close != before.session_close
    if now >= last and not has_another_close:
        return Count(now, before.session_close, before.last_session, now - last)
    ended, earlier = Session(before.session_close, last), before.last_session
    if not _is_after_night(before, quote):
        if has_another_close and earlier and close == earlier.previous_close and now * 2 >= earlier.counted:
            return Count(max(now, earlier.counted), close, ended, max(now - earlier.counted, 0))
        if not _begins_session(before, quote, now, last, has_another_close=has_another_close):
            traded = max(now - last, -_given_back(before, now))
            return Count(last + traded, before.session_close or close, earlier, traded)
    return Count(now, close, ended, now)


def _is_after_night(before: SymbolState, quote: Quote) -> bool:
    """Whether a quote is the first of an open market after a night, or the first that is known at all."""
    if quote.market_state not in (REGULAR, None):
        return False  # before the open, the source still gives the volume of the last session
    return before.open_until is None or quote.event_time - before.open_until > NIGHT


def _begins_session(before: SymbolState, quote: Quote, now: int, last: int, *, has_another_close: bool) -> bool:
    """Whether a session begins without a night before it. The volume fell, or the close is another."""
    if now == 0:
        return has_another_close and quote.previous_close != before.previous_close
    if now * 2 >= last:
        return False
    if has_another_close:
        return True
    is_known = before.session_close is not None or quote.previous_close is not None
    return not is_known and (quote.market_state is None or quote.event_time.date() != before.event_time.date())


def _given_back(before: SymbolState, now: int) -> int:
    """The most that the bar of the current minute gives back. A volume of 0 corrects nothing."""
    return before.bar.volume or 0 if before.bar is not None and now else 0
