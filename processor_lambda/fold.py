"""The fold: what a lane's lines make of its state, and what they decide to show. Pure.

A quote moves the state only if `(event_time, revision)` is greater than its symbol's last, and its bar only if its
minute is not yet closed; a heartbeat only if it is later than the lane's last. So a packet that was sent twice is
absorbed exactly, and folding a lane's lines in one pass or in any batches gives the same bars, indicators and alerts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from processor_lambda import indicators
from processor_lambda.alerts import (
    Silent,
    bar_alert,
    bar_signal,
    is_cooling,
    judged,
    move_alert,
    quote_signal,
    split_alert,
    stale_alert,
    stale_signal,
)
from processor_lambda.days import is_new_day, traded
from processor_lambda.indicators import Indicators
from processor_lambda.rules import Rules, StaleFeed, VolumeSpike
from processor_lambda.splits import MAX_AGE, split_ratio
from processor_lambda.state import Alert, Bar, Flag, LaneState, Position, Publication, SymbolState
from quotes import REGULAR, Heartbeat, Line, Quote, encode_line

MINUTE = timedelta(minutes=1)
MILLISECOND = timedelta(milliseconds=1)
REMEMBERED_MS = 30 * 3_600_000
"""Of open market: how long a symbol's longest interval is remembered, which is a week of sessions."""
MANY_MORE = 4
"""A silence of so many times the symbols that were told of in a cooldown is told at once."""
FORGET_AFTER = timedelta(days=30)
"""A symbol that has said nothing for so long is taken for gone, or a lane would grow with all that was ever watched. By
then all that is remembered is over: cooldowns (`rules`), splits (`splits`), and minutes that are still open."""
MAX_SYMBOLS = 800
"""Of a lane: twice what the producer puts there, so that those that are gone have room until they are forgotten. What
is beyond is rows and no bars, or a flood of names would outgrow the lane's item, and the lane would stand still."""
MAX_LINE_BYTES = 1024
"""Of a line in a bar; our encoder's have under 800."""
MAX_PUBLICATIONS = 250
"""A commit ends behind the line that reaches it: what it decides is part of the lane's item, of 400 KB at the most. One
heartbeat may close a bar of each symbol on top of that."""


class Arrived(NamedTuple):
    """A line, and where on the stream it stood."""

    position: Position
    content: bytes
    line: Line


class Folded(msgspec.Struct, frozen=True):
    """What some lines came to."""

    state: LaneState
    """`pending` is what these lines decided, alone: what the old state had pending was shown before."""
    count: int
    """How many of the lines, from the first on, are in the state: all, unless they decided too much for one commit, or
    one of them made the lane forget symbols, which begin with their stored bars if they come back."""
    late: int
    """Quotes that moved no bar: late ones, those of a packet that was sent twice, and symbols too many for a lane."""


class Fold:
    """How lines are folded: by which rules, and whether the last line of a minute is kept for its row."""

    def __init__(self, rules: Rules, *, keep_lines: bool = False) -> None:
        self._rules = rules
        self._keep_lines = keep_lines

    def __call__(
        self, state: LaneState, lines: Sequence[Arrived], end: Position, warm: Mapping[str, Indicators]
    ) -> Folded:
        """The state after some lines of its lane, beyond its position; `end` is where the last record of them ends.

        A symbol that the state does not know begins with its indicators in `warm`, or with none.
        """
        lane = _Lane(state, self._rules, warm, keep_lines=self._keep_lines)
        count = 0
        while count < len(lines) and len(lane.shown) < MAX_PUBLICATIONS and not lane.has_forgotten:
            lane.take(lines[count])
            count += 1
        position = end if count == len(lines) else lines[count - 1].position
        return Folded(lane.state(position), count, lane.late)


class _Lane:
    """A lane while lines are folded into it."""

    def __init__(self, state: LaneState, rules: Rules, warm: Mapping[str, Indicators], *, keep_lines: bool) -> None:
        self.shown: list[Bar | Alert] = []
        self.late = 0
        self.has_forgotten = False
        self._rules = rules
        self._warm = warm
        self._keep_lines = keep_lines
        self._clock, self._complete_to = state.clock, state.complete_to
        self._symbols = dict(state.symbols)
        self._published = state.last_number

    def state(self, position: Position) -> LaneState:
        """The state now."""
        return LaneState(
            position=position,
            clock=self._clock,
            complete_to=self._complete_to,
            symbols=self._symbols,
            published=self._published,
            pending=tuple(
                Publication(number, bar=item) if isinstance(item, Bar) else Publication(number, alert=item)
                for number, item in enumerate(self.shown, start=self._published + 1)
            ),
        )

    def take(self, arrived: Arrived) -> None:
        """Fold one line in."""
        if isinstance(arrived.line, Heartbeat):
            self._beat(arrived.line)
        else:
            self._quote(arrived.line, arrived.content)

    def _beat(self, heartbeat: Heartbeat) -> None:
        if self._clock is not None and heartbeat.clock <= self._clock:
            return
        self._clock = heartbeat.clock
        complete_to = heartbeat.complete_to
        if complete_to is not None and (self._complete_to is None or complete_to > self._complete_to):
            self._complete_to = complete_to
            for symbol, state in self._symbols.items():
                if state.bar is not None and state.bar.minute + MINUTE <= complete_to:
                    self._symbols[symbol] = self._closed(state, state.bar)
            self._forget(complete_to)
        self.shown += self._silences(heartbeat)

    def _forget(self, complete_to: datetime) -> None:
        """Forget the symbols that are gone. What comes late of one is of a closed minute, and moves nothing."""
        kept = {
            symbol: state for symbol, state in self._symbols.items() if complete_to - state.event_time <= FORGET_AFTER
        }
        self.has_forgotten = len(kept) < len(self._symbols)
        self._symbols = kept

    def _quote(self, quote: Quote, content: bytes) -> None:
        minute = quote.event_time.replace(second=0, microsecond=0)
        before = self._symbols.get(quote.symbol)
        if before is not None and (quote.event_time, quote.revision) <= (before.event_time, before.revision):
            self.late += 1
            return
        if self._complete_to is not None and minute + MINUTE <= self._complete_to:
            self.late += 1
            if before is not None:  # what closes a session is said of its last quote, when the minute has long ended
                self._symbols[quote.symbol] = _told(before, quote)
            return
        if before is None:
            if len(self._symbols) >= MAX_SYMBOLS:
                self.late += 1
                return
            before = _new(quote, self._warm.get(quote.symbol))
        elif before.bar is not None and before.bar.minute < minute:
            before = self._closed(before, before.bar)
        before = self._rescaled(before, quote)
        flags = self._judged(before, quote)
        bar = _bar_after(before, quote, minute, _kept(quote, content) if self._keep_lines else b"")
        self._symbols[quote.symbol] = _moved(before, quote, bar, flags)

    def _judged(self, before: SymbolState, quote: Quote) -> dict[str, Flag]:
        """The symbol's flags after the rules of quotes have judged one."""
        flags = before.flags
        for rule in self._rules.of(quote.symbol).quote:
            signal = quote_signal(rule, quote)
            if signal is None:
                continue
            flag = flags.get(rule.id)
            if flag is not None and is_new_day(before, quote):
                flag = Flag(0, 0, flag.raised_at)  # a move that was announced is another one now
            flag, is_raised = judged(flag, signal, quote.event_time, rule.cooldown)
            flags = _flagged(flags, rule.id, flag)
            if is_raised:
                self.shown.append(move_alert(rule, quote, signal))
        return flags

    def _closed(self, state: SymbolState, bar: Bar) -> SymbolState:
        """Close a symbol's minute: advance its indicators, show the bar with them, and judge it."""
        before = _unpacked(state.indicators)
        after = before.advanced(bar.minute, float(bar.close), bar.volume)
        bar = replace(bar, indicators=after.values())
        self.shown.append(bar)
        flags = state.flags
        # The volume behind a gap of the feed is that of the gap too.
        gap_ms = 0 if before.minute is None else (bar.minute - before.minute - MINUTE) // MILLISECOND
        for rule in self._rules.of(bar.symbol).bar:
            if gap_ms > state.interval_ms and isinstance(rule, VolumeSpike):
                continue
            signal = bar_signal(rule, bar)
            if signal is None:
                continue
            flag, is_raised = judged(flags.get(rule.id), signal, bar.minute, rule.cooldown)
            flags = _flagged(flags, rule.id, flag)
            if is_raised:
                self.shown.append(bar_alert(rule, bar, signal))
        return replace(state, bar=None, indicators=indicators.pack(after), flags=flags)

    def _rescaled(self, state: SymbolState, quote: Quote) -> SymbolState:
        """The state in the shares of a quote, if the symbol has split before it."""
        last, previous_close = state.price, quote.previous_close
        if last is None or previous_close is None or previous_close == state.previous_close:
            return state
        if state.previous_close is None or quote.event_time - state.event_time > MAX_AGE:
            return state
        ratio = split_ratio(float(last), float(previous_close), float(quote.price))
        if ratio is None:
            return state
        new_shares = float(ratio)
        self.shown += [split_alert(rule, quote, last, new_shares) for rule in self._rules.of(quote.symbol).split]
        rescaled = _unpacked(state.indicators).rescaled(new_shares)
        return replace(state, indicators=indicators.pack(rescaled))

    def _silences(self, heartbeat: Heartbeat) -> Iterator[Alert]:
        """An alert for each rule by which symbols have fallen silent, once its cooldown in this lane is over.

        What falls silent before that is told then, unless it has spoken; or at once, if it is many more than were told,
        or half of all whose market is open.
        """
        told: Counter[str] = Counter()
        watched: Counter[str] = Counter()
        silent: dict[str, list[Silent]] = {}
        rules: dict[str, StaleFeed] = {}
        for symbol, state in self._symbols.items():
            for rule in self._rules.of(symbol).stale:
                before = state.flags.get(rule.id)
                if not state.is_open and before is None:
                    continue
                signal = stale_signal(rule, state, heartbeat.clock)
                told[rule.id] += is_cooling(before, heartbeat.clock, rule.cooldown)
                watched[rule.id] += state.is_open
                flag, is_raised = judged(before, signal, heartbeat.clock, rule.cooldown)
                if is_raised:
                    rules[rule.id] = rule
                    silent.setdefault(rule.id, []).append(Silent(symbol, signal.value, signal.band.upper))
                else:
                    self._flag(symbol, rule.id, flag)
        for name, found in silent.items():
            is_told = len(found) >= min(MANY_MORE * told[name], watched[name] / 2)
            for each in found:
                self._flag(each.symbol, name, Flag(1, 1, heartbeat.clock) if is_told else Flag(1, 0, None))
            if is_told:
                yield stale_alert(rules[name], heartbeat.lane, found, heartbeat.clock)

    def _flag(self, symbol: str, rule: str, flag: Flag | None) -> None:
        state = self._symbols[symbol]
        flags = _flagged(state.flags, rule, flag)
        if flags is not state.flags:
            self._symbols[symbol] = replace(state, flags=flags)


def _new(quote: Quote, warm: Indicators | None) -> SymbolState:
    """The state of a symbol before its first quote."""
    return SymbolState(
        event_time=quote.event_time,
        revision=-1,
        price=None,
        previous_close=None,
        volume=None,
        is_open=False,
        delay_minutes=0,
        bar=None,
        indicators=b"" if warm is None else indicators.pack(warm),
    )


def _told(before: SymbolState, quote: Quote) -> SymbolState:
    """The state after a quote that is newer than its last, but of a closed minute: the market's state is news."""
    return replace(
        before,
        event_time=quote.event_time,
        revision=quote.revision,
        is_open=quote.market_state == REGULAR,
        delay_minutes=quote.delay_minutes or 0,
        open_since=_open_since(before, quote),
    )


def _moved(before: SymbolState, quote: Quote, bar: Bar, flags: dict[str, Flag]) -> SymbolState:
    return SymbolState(
        event_time=quote.event_time,
        revision=quote.revision,
        price=quote.price,
        previous_close=before.previous_close if quote.previous_close is None else quote.previous_close,
        volume=before.volume if quote.volume is None else quote.volume,
        is_open=quote.market_state == REGULAR,
        delay_minutes=quote.delay_minutes or 0,
        open_since=_open_since(before, quote),
        bar=bar,
        indicators=before.indicators,
        flags=flags,
        interval_ms=_interval_ms(before, quote),
    )


def _open_since(before: SymbolState, quote: Quote) -> datetime | None:
    """At the open the price is still that of the day before, so silence is not counted from there."""
    if quote.market_state != REGULAR:
        return None
    return before.open_since if before.is_open else quote.ingest_time


def _interval_ms(before: SymbolState, quote: Quote) -> int:
    """The longest usual interval after a quote: forgotten slowly, and learnt by doubling, as it may be an outage."""
    if not before.is_open or quote.market_state != REGULAR:
        return before.interval_ms
    gap = (quote.event_time - before.silent_since) // MILLISECOND
    if gap <= 0:
        return before.interval_ms
    if gap < before.interval_ms:
        return max(gap, before.interval_ms - before.interval_ms * gap // REMEMBERED_MS)
    return min(gap, before.interval_ms * 2)


def _bar_after(before: SymbolState, quote: Quote, minute: datetime, line: bytes) -> Bar:
    """The minute under way after a quote."""
    more = traded(before, quote)
    bar = before.bar
    return Bar(
        symbol=quote.symbol,
        minute=minute,
        open=quote.price if bar is None else bar.open,
        high=quote.price if bar is None else max(bar.high, quote.price),
        low=quote.price if bar is None else min(bar.low, quote.price),
        close=quote.price,
        volume=more if bar is None else bar.volume if more is None else more + (bar.volume or 0),
        quotes=1 if bar is None else bar.quotes + 1,
        ingest_time=quote.ingest_time,
        line=line,
    )


def _kept(quote: Quote, content: bytes) -> bytes:
    """The line of a quote as a bar keeps it. Blanks and repeated fields make a good line of any length."""
    return content if len(content) <= MAX_LINE_BYTES else encode_line(quote)[:-1]


def _unpacked(packed: bytes) -> Indicators:
    return indicators.unpack(packed) if packed else Indicators()


def _flagged(flags: dict[str, Flag], name: str, flag: Flag | None) -> dict[str, Flag]:
    """Flags with one of them as it is now; the same object if it was so before."""
    if flags.get(name) == flag:
        return flags
    others = {other: kept for other, kept in flags.items() if other != name}
    return others if flag is None else {**others, name: flag}
