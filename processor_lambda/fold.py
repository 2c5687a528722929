"""The fold: how a lane's lines change its state, and what they decide to publish. Pure.

A quote changes the state only if its `(event_time, revision)` is greater than the symbol's last, and it changes a bar
only if the bar's minute is not closed. A heartbeat changes the state only if its clock is later than the lane's last.
So a packet that arrives twice has no second effect. Bars, indicators and alerts are the same however the lines are cut
into batches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

import indicators
from indicators import Indicators
from lane_state import Alert, AlertState, Bar, LaneState, LogEntry, Position, Publication, Split, SymbolState
from processor_lambda import splits, symbol_state, volume_counter
from processor_lambda.alerts import Rules, SilenceRule
from processor_lambda.alerts.signals import evaluate, is_cooling
from processor_lambda.alerts.stale_feed import StaleSymbol
from processor_lambda.rows import timestamp_of
from processor_lambda.symbol_state import MILLISECOND, MINUTE
from processor_lambda.trading_day import is_new_day
from quotes import MAX_CLOCK_SKEW, Action, Heartbeat, Line, Quote, to_iso

MANY_MORE = 4
"""Within a cooldown, a silence of this many times the symbols already announced raises another alert at once."""
FORGET_AFTER = timedelta(days=30)
"""A symbol without quotes for this long is removed, or a lane would grow with every symbol that was ever watched.
Everything that is remembered of it is obsolete by then: cooldowns, split detection and open minutes."""
FORGET_RULES_AFTER = timedelta(days=7)
"""The alert state of a rule that no longer exists is kept for this long after its last alert, which is the longest
cooldown. Without the limit, a lane would grow with every name that a rule ever had."""
CURRENCY_PATIENCE = timedelta(hours=1)
"""Quotes of another currency change nothing for this long after the last quote of the known one. A source that gives
a wrong currency for some polls would otherwise end the series of the symbol twice."""
MAX_SYMBOLS = 800
"""The most symbols of a lane's state, twice as many as a producer puts there, so that old symbols have room until they
are forgotten. Quotes of any further symbol become rows but no bars. Without the limit, a flood of names would outgrow
the lane's item, and the lane would stop."""
MAX_PUBLICATIONS = 250
"""A commit ends after the line that reaches this number, because what it decides is part of the lane's item. One
heartbeat may close a bar of every symbol on top of that."""


class PositionedLine(NamedTuple):
    """A line, and its position on the stream."""

    position: Position
    content: bytes
    line: Line


class Folded(msgspec.Struct, frozen=True):
    """The result of folding some lines."""

    state: LaneState
    """Its `pending` is what these lines decided. Everything that was pending before them is published already."""
    count: int
    """How many of the lines are in the state, counted from the first.

    All of them, unless they decided too much for one commit, or one of them made the lane forget symbols. A forgotten
    symbol starts again from its stored bars, so those must be stored first.
    """
    quotes: int
    """How many of those lines are quotes."""
    late: int
    """Quotes that changed no bar, apart from the repeated ones: late ones, those of another currency for a while, and
    those of symbols beyond `MAX_SYMBOLS`."""
    repeated: int
    """Quotes with the identity of their symbol's last quote. They changed nothing."""


class Fold:
    """Folds lines by a set of rules. With `keep_lines`, a bar keeps its last line for the row of the minute."""

    def __init__(self, rules: Rules, *, keep_lines: bool = False) -> None:
        self._rules = rules
        self._keep_lines = keep_lines

    def __call__(
        self, state: LaneState, lines: Sequence[PositionedLine], end: Position, warm: Mapping[str, Indicators]
    ) -> Folded:
        """Fold lines that are beyond the state's position. `end` is the position at the end of their last record.

        A symbol that the state does not know starts with its indicators in `warm`, or with none.
        """
        lane = _LaneFold(state, self._rules, warm, keep_lines=self._keep_lines)
        count = 0
        while count < len(lines) and len(lane.decided) < MAX_PUBLICATIONS and not lane.has_forgotten:
            lane.take(lines[count])
            count += 1
        position = end if count == len(lines) else lines[count - 1].position
        return Folded(lane.state(position), count, count - lane.others, lane.late, lane.repeated)


def without_future(state: LaneState, arrival: datetime) -> LaneState:
    """A state without what is more than `MAX_CLOCK_SKEW` ahead of the arrival of a record beyond it.

    Lines of a clock that was fast are refused, so such a state was made by another program, or on a stream whose own
    clock was fast. It would ignore every heartbeat and quote of its lane until that time. What is removed starts again
    as for a new lane and a new symbol. What was published stays so.
    """
    latest = arrival + MAX_CLOCK_SKEW

    def trusted(time: datetime | None) -> datetime | None:
        return None if time is None or time > latest else time

    clock, complete_to = trusted(state.clock), trusted(state.complete_to)
    future = [symbol for symbol, known in state.symbols.items() if known.event_time > latest]
    if not future and (clock, complete_to) == (state.clock, state.complete_to):  # nearly always
        return state
    symbols = {symbol: known for symbol, known in state.symbols.items() if symbol not in future}
    packed = {symbol: known for symbol, known in state.indicators.items() if symbol not in future}
    return replace(state, clock=clock, complete_to=complete_to, symbols=symbols, indicators=packed, log=None)


class _LaneFold:
    """A lane while lines are folded into it."""

    def __init__(self, state: LaneState, rules: Rules, warm: Mapping[str, Indicators], *, keep_lines: bool) -> None:
        self.decided: list[Bar | Alert] = []
        self.others = self.late = self.repeated = 0
        self.has_forgotten = False
        self._rules = rules
        self._warm = warm
        self._keep_lines = keep_lines
        self._clock, self._complete_to = state.clock, state.complete_to
        self._symbols = dict(state.symbols)
        self._splits = dict(state.splits)
        self._published = state.last_number
        self._indicators = dict(state.indicators)
        self._checkpoint, self._log, self._edits = state.checkpoint, state.log, state.edits
        self._closed: list[LogEntry] = []

    def state(self, position: Position) -> LaneState:
        """The state after the lines that were taken."""
        return LaneState(
            position=position,
            clock=self._clock,
            complete_to=self._complete_to,
            symbols=self._symbols,
            splits=self._splits,
            published=self._published,
            pending=tuple(
                Publication(number, bar=item) if isinstance(item, Bar) else Publication(number, alert=item)
                for number, item in enumerate(self.decided, start=self._published + 1)
            ),
            indicators=self._indicators,
            checkpoint=self._checkpoint,
            log=None if self._log is None else (*self._log, *self._closed),
            edits=self._edits,
        )

    def take(self, positioned: PositionedLine) -> None:
        """Fold one line."""
        line = positioned.line
        if isinstance(line, Quote):
            self._take_quote(line, positioned.content)
            return
        self.others += 1
        if isinstance(line, Heartbeat):
            self._take_heartbeat(line)
        else:
            self._take_action(line)

    def _take_heartbeat(self, heartbeat: Heartbeat) -> None:
        if self._clock is not None and heartbeat.clock <= self._clock:
            return
        self._clock = heartbeat.clock
        complete_to = heartbeat.complete_to
        if complete_to is not None and (self._complete_to is None or complete_to > self._complete_to):
            self._complete_to = complete_to
            for symbol, state in self._symbols.items():
                if state.bar is not None and state.bar.minute + MINUTE <= complete_to:
                    self._symbols[symbol] = self._close_bar(state, state.bar)
            self._forget(complete_to)
            self._forget_rules(heartbeat.clock)
        self.decided += self._stale_alerts(heartbeat)

    def _forget(self, complete_to: datetime) -> None:
        """Forget old symbols. A late quote of a forgotten symbol falls into a closed minute and changes nothing."""
        forgotten = [symbol for symbol, state in self._symbols.items() if complete_to - state.event_time > FORGET_AFTER]
        self.has_forgotten = bool(forgotten)
        for symbol in forgotten:
            self._set_indicators(symbol, Indicators())
            split = self._symbols.pop(symbol).split
            if split is not None:
                self._splits[symbol] = split
        for symbol, split in list(self._splits.items()):
            if complete_to - split.time > FORGET_AFTER:
                del self._splits[symbol]

    def _forget_rules(self, clock: datetime) -> None:
        """Forget the alert states of rules that a symbol no longer has, unless they raised an alert lately.

        Within that time, another instance may still have other rules, or somebody may bring the rule back.
        """
        for symbol, state in self._symbols.items():
            names = self._rules.for_symbol(symbol).names
            if state.alert_states.keys() <= names:  # nearly always
                continue
            kept = {
                name: alert
                for name, alert in state.alert_states.items()
                if name in names or (alert.raised_at is not None and clock - alert.raised_at < FORGET_RULES_AFTER)
            }
            self._symbols[symbol] = replace(state, alert_states=kept)

    def _take_quote(self, quote: Quote, content: bytes) -> None:
        before = self._symbols.get(quote.symbol)
        if before is not None and (quote.event_time, quote.revision) <= (before.event_time, before.revision):
            if (quote.event_time, quote.revision) == (before.event_time, before.revision):
                self.repeated += 1
            else:
                self.late += 1
            return
        has_other_currency = (
            before is not None and before.currency != quote.currency and None not in (before.currency, quote.currency)
        )
        if before is not None and has_other_currency and quote.event_time - before.event_time <= CURRENCY_PATIENCE:
            self.late += 1
            return
        minute = symbol_state.minute_of(before, quote)
        if self._complete_to is not None and minute + MINUTE <= self._complete_to:
            self.late += 1
            if before is not None:
                # The revision that says a session has closed arrives long after its quote's minute has ended.
                self._symbols[quote.symbol] = symbol_state.with_market_state(before, quote)
            return
        if before is None:
            if len(self._symbols) >= MAX_SYMBOLS:
                self.late += 1
                return
            before = symbol_state.new(quote, self._splits.pop(quote.symbol, None))
            self._set_indicators(quote.symbol, self._warm.get(quote.symbol, Indicators()))
        elif before.bar is not None and before.bar.minute < minute:
            before = self._close_bar(before, before.bar)
        if has_other_currency:
            before = symbol_state.with_new_series(before)
            self._set_indicators(quote.symbol, Indicators())
        before = self._rescale(before, quote)
        alert_states = self._evaluate_quote(before, quote)
        line = symbol_state.stored_line(quote, content) if self._keep_lines else b""
        count = volume_counter.count(before, quote)
        bar = symbol_state.bar_after(before, quote, minute, count.traded, line)
        self._symbols[quote.symbol] = symbol_state.after(before, quote, bar, count, alert_states)

    def _evaluate_quote(self, before: SymbolState, quote: Quote) -> dict[str, AlertState]:
        """The symbol's alert states after the rules for quotes were evaluated."""
        states = before.alert_states
        for rule in self._rules.for_symbol(quote.symbol).quote:
            state = states.get(rule.id)
            if state is None and rule.is_calm(quote):
                continue
            signal = rule.signal(quote)
            if signal is None:
                continue
            if state is not None and is_new_day(before, quote):
                state = AlertState(0, 0, state.raised_at)  # on a new day, the same move is announced again
            state, is_raised = evaluate(state, signal, quote.event_time, rule.cooldown)
            states = _with_state(states, rule.id, state)
            if is_raised:
                self.decided.append(rule.alert(quote, signal))
        return states

    def _close_bar(self, state: SymbolState, bar: Bar) -> SymbolState:
        """Close a symbol's minute: advance its indicators, publish the bar, and evaluate the rules for bars."""
        before = symbol_state.unpacked(self._indicators.get(bar.symbol, b""))
        closed = LogEntry(bar.symbol, bar.minute, float(bar.close), bar.volume)
        after = before.advanced(closed.minute, closed.close, closed.volume)
        self._indicators[bar.symbol] = indicators.pack(after)
        self._closed.append(closed)
        bar = replace(bar, indicators=after.values())
        self.decided.append(bar)
        gap_ms = 0 if before.minute is None else (bar.minute - before.minute - MINUTE) // MILLISECOND
        alert_states = state.alert_states
        for rule in self._rules.for_symbol(bar.symbol).bar:
            signal = rule.signal(bar, follows_gap=gap_ms > state.interval_ms)
            if signal is None:
                continue
            alert_state, is_raised = evaluate(alert_states.get(rule.id), signal, bar.minute, rule.cooldown)
            alert_states = _with_state(alert_states, rule.id, alert_state)
            if is_raised:
                self.decided.append(rule.alert(bar, signal))
        return replace(state, bar=None, alert_states=alert_states)

    def _set_indicators(self, symbol: str, after: Indicators) -> None:
        """Change a symbol's indicators in a way that the log cannot express, because it has only closed minutes."""
        before = self._indicators.pop(symbol, None)
        if after != Indicators():
            self._indicators[symbol] = indicators.pack(after)
        if self._indicators.get(symbol) != before:
            self._log = None

    def _take_action(self, action: Action) -> None:
        """Fold a corporate action. Of those, only splits change the state."""
        split, state = splits.declared(action), self._symbols.get(action.symbol)
        if split is None:
            return
        if state is None:
            self._remember(action.symbol, split)
            return
        found = splits.by_declaration(state, split)
        if found is not None:
            prices = {"price": state.price, "previous_close": state.previous_close}
            self._symbols[action.symbol] = self._split(state, found, action.symbol, to_iso(split.time), prices)

    def _remember(self, symbol: str, split: Split) -> None:
        """Remember the last split of a symbol that the state does not know."""
        known = self._splits.get(symbol)
        is_old = self._complete_to is not None and self._complete_to - split.time > FORGET_AFTER
        if not is_old and (len(self._splits) < MAX_SYMBOLS if known is None else known.time < split.time):
            self._splits[symbol] = split

    def _rescale(self, state: SymbolState, quote: Quote) -> SymbolState:
        """The state in the shares of a quote, if the symbol has split since the last quote."""
        if state.split is None and quote.previous_close == state.previous_close:
            return state  # no split: this runs for every quote
        found = splits.by_quote(state, quote)
        if found is None:
            return state
        prices = {"last_price": state.price, "price": quote.price, "previous_close": quote.previous_close}
        return self._split(state, found, quote.symbol, timestamp_of(quote), prices)

    def _split(
        self,
        state: SymbolState,
        found: splits.Found,
        symbol: str,
        timestamp: str,
        prices: Mapping[str, Decimal | None],
    ) -> SymbolState:
        """The state after a split. Raises the alert about it."""
        if found.is_news and found.ratio is not None:
            rules = self._rules.for_symbol(symbol).split
            self.decided += [rule.alert(symbol, timestamp, found.ratio, prices) for rule in rules]
        before = symbol_state.unpacked(self._indicators.get(symbol, b""))
        after = splits.rescaled(before, found, prices["price"])
        if after is not before:
            self._set_indicators(symbol, after)
        return replace(state, split=found.split)

    def _stale_alerts(self, heartbeat: Heartbeat) -> Iterator[Alert]:
        """One alert for each rule by which symbols have become stale, unless the lane is still in its cooldown.

        Symbols that become stale within a cooldown are announced when it ends, unless they have new quotes by then.
        They are announced at once if they are many more than were announced before, or half of all open symbols.
        """
        announced: Counter[str] = Counter()
        watched: Counter[str] = Counter()
        stale: dict[str, list[StaleSymbol]] = {}
        rules: dict[str, SilenceRule] = {}
        for symbol, state in self._symbols.items():
            for rule in self._rules.for_symbol(symbol).silence:
                before = state.alert_states.get(rule.id)
                if not state.is_open and before is None:
                    continue
                signal = rule.signal(state, heartbeat.clock)
                announced[rule.id] += is_cooling(before, heartbeat.clock, rule.cooldown)
                watched[rule.id] += state.is_open
                after, is_raised = evaluate(before, signal, heartbeat.clock, rule.cooldown)
                if is_raised:
                    rules[rule.id] = rule
                    stale.setdefault(rule.id, []).append(StaleSymbol(symbol, signal.value, signal.band.upper))
                else:
                    self._set_state(symbol, rule.id, after)
        for name, found in stale.items():
            is_announced = len(found) >= min(MANY_MORE * announced[name], watched[name] / 2)
            after = AlertState(1, 1, heartbeat.clock) if is_announced else AlertState(1, 0, None)
            for each in found:
                self._set_state(each.symbol, name, after)
            if is_announced:
                yield rules[name].alert(heartbeat.lane, found, heartbeat.clock)

    def _set_state(self, symbol: str, rule: str, alert_state: AlertState | None) -> None:
        state = self._symbols[symbol]
        alert_states = _with_state(state.alert_states, rule, alert_state)
        if alert_states is not state.alert_states:
            self._symbols[symbol] = replace(state, alert_states=alert_states)


def _with_state(states: dict[str, AlertState], name: str, state: AlertState | None) -> dict[str, AlertState]:
    """The states with one of them replaced; the same object if nothing changes."""
    if states.get(name) == state:
        return states
    others = {other: value for other, value in states.items() if other != name}
    return others if state is None else {**others, name: state}
