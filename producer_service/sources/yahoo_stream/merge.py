"""Merges the trades that Yahoo streams with the quotes that it is polled for, so that each trade is one quote. Pure.

**Identity.** The quote endpoint states the time of a trade in whole seconds, and the stream in milliseconds. The second
owns identity: a streamed trade becomes a quote at the second of its time. So a poll, the producer after a restart, and
another producer that only polls, all give the same trade the same identity. Several trades of one second are revisions,
as they are for polls.

**Content.** A streamed message has no more than price, time and volume. The rest of its quote is taken from the quote
that was delivered before it, so that it says what a poll at that moment would say. A trade that may not continue that
quote, because it is the first one of a symbol or of a session, is left to a poll.

**Authority.** A poll is right wherever it disagrees. Its quote replaces the streamed quote of the same second, as a
revision, if its price, volume or market state differ. It replaces nothing if it is the same trade: then the streamed
price is the same, and only what both derive from the day so far may differ, such as the day's high.

**Order.** The quotes of a symbol never go back in time, and within a second not back in volume. After a poll has stated
a second, only a trade with a larger volume of the day is known to be newer than what the poll saw.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from producer_service.sources.yahoo_stream.trades import Trade
from quotes import Quote
from yahoo_requests.single_precision import is_same

CONTINUES = timedelta(hours=1)
"""The longest time from one trade of a symbol to the next within a session. After more, another day may have begun."""


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be delivered."""

    quotes: tuple[Quote, ...]
    """The quotes of one symbol are in their order."""
    missed: int = 0
    """The quotes of a poll that are newer than everything that was streamed of their symbols."""
    corrected: int = 0
    """The quotes of a poll that replace what was streamed."""
    newest: datetime | None = None
    """The time of the newest quote of a poll that is newer than everything that was known of its symbol."""
    trades: tuple[Trade, ...] = ()
    """The trades that became quotes."""
    needs_poll: bool = False
    """Whether a trade was left to a poll, after none of its symbol was."""


class _Latest(msgspec.Struct, frozen=True):
    """The newest quote of a symbol, and how it came to be."""

    quote: Quote
    time: datetime | None
    """The time of the streamed trade in milliseconds. None if a poll stated the quote."""
    prices: frozenset[Decimal]
    """The prices that were delivered at its event time."""


class Merge:
    """Remembers the newest quote of each symbol. With `extended_hours`, trades before and after the session count too.

    `symbols` are those to deliver, as the quotes of polls write them. Not thread-safe.
    """

    def __init__(self, symbols: Iterable[str], *, extended_hours: bool) -> None:
        self._names = {symbol.upper(): symbol for symbol in symbols}
        self._extended_hours = extended_hours
        self._latest: dict[str, _Latest] = {}
        self._left: dict[str, datetime] = {}
        """The second of the newest trade of each symbol that was left to a poll and that no poll has brought."""

    @property
    def is_poll_needed(self) -> bool:
        """Whether a trade was left to a poll that has not brought it yet."""
        return bool(self._left)

    def complete(self, complete_to: datetime) -> None:
        """A poll was complete: no trade before this time is still to come."""
        self._left = {symbol: second for symbol, second in self._left.items() if second >= complete_to}

    def polled(self, quotes: Iterable[Quote]) -> Merged:
        """What to deliver of the quotes of a poll, which has at most one of each symbol."""
        delivered: list[Quote] = []
        missed = corrected = 0
        newest: datetime | None = None
        for quote in quotes:
            before = self._latest.get(quote.symbol)
            if quote.symbol in self._left and quote.event_time >= self._left[quote.symbol]:
                del self._left[quote.symbol]
            prices = frozenset((quote.price,))
            if before is None or quote.event_time > before.quote.event_time:
                newest = quote.event_time if newest is None else max(newest, quote.event_time)
            if before is not None and quote.event_time > before.quote.event_time:
                missed += before.time is not None
            elif before is not None:
                if quote.event_time < before.quote.event_time or (before.time is not None and _is_known(before, quote)):
                    self._latest[quote.symbol] = replace(before, quote=_with_day(before.quote, quote))
                    continue
                corrected += before.time is not None
                prices |= before.prices
            self._latest[quote.symbol] = _Latest(quote, None, prices)
            delivered.append(quote)
        return Merged(quotes=tuple(delivered), missed=missed, corrected=corrected, newest=newest)

    def streamed(self, trades: Iterable[Trade]) -> Merged:
        """What to deliver of some trades, in the order in which they were received."""
        delivered: list[Quote] = []
        taken: list[Trade] = []
        needs_poll = False
        for trade in trades:
            name = self._names.get(trade.symbol.upper())
            if name is None or (trade.session != "REGULAR" and not self._extended_hours):
                continue
            before = self._latest.get(name)
            second = trade.time.replace(microsecond=0)
            if before is None or (second > before.quote.event_time and not self._continues(before.quote, trade)):
                needs_poll |= name not in self._left
                self._left[name] = max(second, self._left.get(name, second))
            elif second > before.quote.event_time or (
                second == before.quote.event_time and _is_newer_within_second(before, trade)
            ):
                quote = _quote_of(trade, second, before.quote)
                earlier = before.prices if second == before.quote.event_time else frozenset[Decimal]()
                self._latest[name] = _Latest(quote, trade.time, earlier | {quote.price})
                delivered.append(quote)
                taken.append(trade)
        return Merged(quotes=tuple(delivered), trades=tuple(taken), needs_poll=needs_poll)

    def _continues(self, quote: Quote, trade: Trade) -> bool:
        """Whether a later trade is surely of the same session as a quote."""
        extended = quote.market_state if self._extended_hours and quote.market_state in ("PRE", "POST") else None
        order = _volume_order(quote, trade)
        return (
            trade.session == (extended or "REGULAR")
            and trade.time - quote.event_time <= CONTINUES
            and (order is None or order >= 0)
        )


def _volume_order(quote: Quote, trade: Trade) -> int | None:
    """Whether a trade has a larger volume of the day than a quote (1), the same (0) or a smaller one (-1)."""
    if trade.volume is None or trade.session != "REGULAR":
        return None
    return _compared(quote, trade.volume)


def _compared(quote: Quote, volume: int | None) -> int | None:
    if volume is None or quote.volume is None or quote.volume_period is not None:
        return None  # a volume of the last 24 hours may fall
    return (volume > quote.volume) - (volume < quote.volume)


def _is_newer_within_second(before: _Latest, trade: Trade) -> bool:
    """Whether a trade of the latest quote's second is newer, and says something else."""
    order = _volume_order(before.quote, trade)
    if before.time is None:
        return order == 1
    if order == -1 or trade.time < before.time:
        return False
    return order == 1 or (trade.time > before.time and trade.price != before.quote.price)


def _is_known(before: _Latest, quote: Quote) -> bool:
    """Whether the quote of a poll is the streamed trade, or an older one of the same second."""
    latest = before.quote
    if (quote.market_state, quote.currency) != (latest.market_state, latest.currency):
        return False
    order = _compared(latest, quote.volume)
    if order is None or order == 0:
        if is_same(quote.price, latest.price):
            return quote.price == latest.price  # otherwise the poll states what single precision cannot
        return any(is_same(quote.price, price) for price in before.prices)
    return order < 0


def _quote_of(trade: Trade, second: datetime, before: Quote) -> Quote:
    """The quote of a trade that continues the session of the quote before it."""
    quote = replace(before, event_time=second, price=trade.price, ingest_time=trade.received)
    if trade.session != "REGULAR":
        return quote  # volume, high and low are those of the regular session
    return replace(
        quote,
        volume=before.volume if trade.volume is None else trade.volume,
        high=None if before.high is None else max(before.high, trade.price),
        low=None if before.low is None else min(before.low, trade.price),
    )


def _with_day(latest: Quote, polled: Quote) -> Quote:
    """The latest quote with what a poll says about the day so far. Later trades build on it."""
    if polled.market_state != latest.market_state:
        return latest
    highs, lows = (latest.high, polled.high), (latest.low, polled.low)
    if (polled.open, polled.previous_close) != (latest.open, latest.previous_close):
        # Another day has begun, as of coins and currencies, which trade without a break.
        highs, lows = (latest.price, polled.high), (latest.price, polled.low)
    return replace(
        latest,
        open=polled.open,
        high=max((high for high in highs if high is not None), default=None),
        low=min((low for low in lows if low is not None), default=None),
        previous_close=polled.previous_close,
        currency=polled.currency,
        exchange=polled.exchange,
        delay_minutes=polled.delay_minutes,
    )
