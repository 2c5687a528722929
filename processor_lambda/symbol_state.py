"""How one quote changes the state and the current bar of its symbol. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

import indicators
from indicators import Indicators
from lane_state import AlertState, Bar, Split, SymbolState
from processor_lambda.volume_counter import Count
from quotes import REGULAR, Quote, encode_line

MINUTE = timedelta(minutes=1)
MILLISECOND = timedelta(milliseconds=1)
MAX_LINE_BYTES = 1024
"""The longest line that a bar keeps as it is. Our encoder's lines have under 800 bytes."""
NOT_CLOSED = (REGULAR, None)
"""The market states of a market that is not known to be closed."""
MAX_VOLUME = 2**63 - 1
"""The largest volume of a bar, as of a quote. A counter that runs wild within a minute could exceed it."""
REMEMBERED_MS = 30 * 3_600_000
"""How long a symbol's longest interval is remembered: 30 hours of open market, a week of sessions."""


def new(quote: Quote, split: Split | None) -> SymbolState:
    """The state of a symbol before its first quote. `split` is the last one that was declared by then."""
    return SymbolState(
        event_time=quote.event_time,
        revision=-1,
        price=None,
        previous_close=None,
        volume=None,
        is_open=False,
        delay_minutes=0,
        bar=None,
        split=split,
    )


def minute_of(before: SymbolState | None, quote: Quote) -> datetime:
    """The start of the minute of a quote. It is nearly always that of the current bar, and `replace` is slow."""
    if before is not None and before.bar is not None and timedelta() <= quote.event_time - before.bar.minute < MINUTE:
        return before.bar.minute
    return quote.event_time.replace(second=0, microsecond=0)


def after(
    before: SymbolState, quote: Quote, bar: Bar, count: Count, alert_states: dict[str, AlertState]
) -> SymbolState:
    """The state after a quote that changed the bar. `count` is what it did to the counter of the volume."""
    return SymbolState(
        event_time=quote.event_time,
        revision=quote.revision,
        price=quote.price,
        previous_close=before.previous_close if quote.previous_close is None else quote.previous_close,
        volume=count.volume,
        is_open=quote.market_state == REGULAR,
        delay_minutes=quote.delay_minutes or 0,
        open_since=_open_since(before, quote),
        bar=bar,
        alert_states=alert_states,
        interval_ms=_interval_ms(before, quote),
        currency=before.currency if quote.currency is None else quote.currency,
        session_close=count.session_close,
        last_session=count.last_session,
        open_until=quote.event_time if quote.market_state in NOT_CLOSED else before.open_until,
        split=before.split,
        exchange=before.exchange if quote.exchange is None else quote.exchange,
    )


def with_market_state(before: SymbolState, quote: Quote) -> SymbolState:
    """The state after a new quote whose minute is already closed: only its time and the market's state change."""
    return replace(
        before,
        event_time=quote.event_time,
        revision=quote.revision,
        is_open=quote.market_state == REGULAR,
        delay_minutes=quote.delay_minutes or 0,
        open_since=_open_since(before, quote),
        open_until=quote.event_time if quote.market_state in NOT_CLOSED else before.open_until,
    )


def with_new_series(before: SymbolState) -> SymbolState:
    """The state before the first quote in another currency. Only what does not depend on prices stays."""
    return replace(before, price=None, previous_close=None, alert_states={})


def bar_after(before: SymbolState, quote: Quote, minute: datetime, traded: int | None, line: bytes) -> Bar:
    """The current minute after a quote, which adds `traded` to its volume."""
    bar = before.bar
    volume = None if bar is None else bar.volume
    if traded is not None:
        volume = traded + (volume or 0)
    return Bar(
        symbol=quote.symbol,
        minute=minute,
        open=quote.price if bar is None else bar.open,
        high=quote.price if bar is None else max(bar.high, quote.price),
        low=quote.price if bar is None else min(bar.low, quote.price),
        close=quote.price,
        volume=volume if volume is None or volume <= MAX_VOLUME else MAX_VOLUME,
        quotes=1 if bar is None else bar.quotes + 1,
        ingest_time=quote.ingest_time,
        line=line,
    )


def stored_line(quote: Quote, content: bytes) -> bytes:
    """The line of a quote as a bar stores it. Blanks can make a valid line arbitrarily long."""
    return content if len(content) <= MAX_LINE_BYTES else encode_line(quote)[:-1]


def unpacked(packed: bytes) -> Indicators:
    """Indicators, whose bytes may be empty before the first closed minute."""
    return indicators.unpack(packed) if packed else Indicators()


def _open_since(before: SymbolState, quote: Quote) -> datetime | None:
    """When the market opened. At the open the last quote is a day old, so silence counts from the open."""
    if quote.market_state != REGULAR:
        return None
    return before.open_since if before.is_open else quote.ingest_time


def _interval_ms(before: SymbolState, quote: Quote) -> int:
    """The longest usual interval after a quote. It at most doubles at once, since a long interval may be an outage."""
    if not before.is_open or quote.market_state != REGULAR:
        return before.interval_ms
    gap = (quote.event_time - before.silent_since) // MILLISECOND
    if gap <= 0:
        return before.interval_ms
    if gap < before.interval_ms:
        return max(gap, before.interval_ms - before.interval_ms * gap // REMEMBERED_MS)
    return min(gap, before.interval_ms * 2)
