"""The fold: what a lane's lines make of its state, and what they decide to show. Pure.

A quote moves the state only if `(event_time, revision)` is greater than its symbol's last and its minute is not yet
closed; a heartbeat only if it is later than the lane's last. So a packet that was sent twice is absorbed exactly, and
folding a lane's lines in one pass or in any batches gives the same bars.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from processor_lambda.rows import change_percent_of, timestamp_of
from processor_lambda.state import Alert, Bar, LaneState, Publication, SymbolState
from quotes import Heartbeat, Line, Quote

MINUTE = timedelta(minutes=1)


def fold(state: LaneState, lines: Iterable[Line], last_sequence: int, anomaly_percent: Decimal) -> LaneState:
    """The state after some lines of its lane, read up to `last_sequence`.

    `pending` of the new state is what these lines decided, alone: what the old state had pending was shown before.
    """
    symbols = dict(state.symbols)
    clock, complete_to = state.clock, state.complete_to
    shown: list[Bar | Alert] = []
    for line in lines:
        if isinstance(line, Heartbeat):
            if clock is not None and line.clock <= clock:
                continue
            clock = line.clock
            if line.complete_to is not None and (complete_to is None or line.complete_to > complete_to):
                complete_to = line.complete_to
                shown += _close_minutes(symbols, complete_to)
            continue
        minute = line.event_time.replace(second=0, microsecond=0)
        if complete_to is not None and minute + MINUTE <= complete_to:
            continue
        before = symbols.get(line.symbol)
        if before is not None:
            if (line.event_time, line.revision) <= (before.event_time, before.revision):
                continue
            if before.bar is not None and before.bar.minute < minute:
                shown.append(before.bar)
                before = replace(before, bar=None)
        after, alert = _move(before, line, minute, anomaly_percent)
        symbols[line.symbol] = after
        if alert is not None:
            shown.append(alert)
    published = state.last_number
    return LaneState(
        last_sequence=last_sequence,
        clock=clock,
        complete_to=complete_to,
        symbols=symbols,
        published=published,
        pending=tuple(
            Publication(number, bar=item) if isinstance(item, Bar) else Publication(number, alert=item)
            for number, item in enumerate(shown, start=published + 1)
        ),
    )


def _close_minutes(symbols: dict[str, SymbolState], complete_to: datetime) -> list[Bar]:
    closed = []
    for symbol, state in symbols.items():
        if state.bar is not None and state.bar.minute + MINUTE <= complete_to:
            closed.append(state.bar)
            symbols[symbol] = replace(state, bar=None)
    return closed


def _move(
    before: SymbolState | None, quote: Quote, minute: datetime, anomaly_percent: Decimal
) -> tuple[SymbolState, Alert | None]:
    """A symbol's state after a quote that moves it, and the alert if it is the first beyond the threshold."""
    traded = _traded(None if before is None else before.volume, quote.volume)
    bar = None if before is None else before.bar
    if bar is None:
        bar = Bar(
            symbol=quote.symbol,
            minute=minute,
            open=quote.price,
            high=quote.price,
            low=quote.price,
            close=quote.price,
            volume=traded,
            quotes=1,
            ingest_time=quote.ingest_time,
        )
    else:
        bar = Bar(
            symbol=bar.symbol,
            minute=bar.minute,
            open=bar.open,
            high=max(bar.high, quote.price),
            low=min(bar.low, quote.price),
            close=quote.price,
            volume=bar.volume if traded is None else traded + (bar.volume or 0),
            quotes=bar.quotes + 1,
            ingest_time=quote.ingest_time,
        )
    change_percent = change_percent_of(quote)
    anomaly = was_anomaly = 0 if before is None else before.anomaly
    if change_percent is not None:
        anomaly = (change_percent > anomaly_percent) - (change_percent < -anomaly_percent)
    volume = quote.volume if quote.volume is not None or before is None else before.volume
    alert = None
    if change_percent is not None and anomaly not in (0, was_anomaly):
        alert = _threshold_alert(quote, change_percent, anomaly_percent)
    return SymbolState(quote.event_time, quote.revision, volume, bar, anomaly), alert


def _traded(before: int | None, now: int | None) -> int | None:
    """What was traded since the last cumulative volume.

    A fall below half of it is a new day, which starts from zero; a smaller one a correction, in which nothing traded.
    What came before the first quote ever is unknown and counts as nothing.
    """
    if now is None:
        return None
    if before is None:
        return 0
    if now >= before:
        return now - before
    return now if now * 2 < before else 0


def _threshold_alert(quote: Quote, change_percent: Decimal, anomaly_percent: Decimal) -> Alert:
    timestamp = timestamp_of(quote)
    return Alert(
        id=f"threshold:{quote.symbol}:{timestamp}",
        rule="threshold",
        severity="warning",
        symbol=quote.symbol,
        timestamp=timestamp,
        subject=f"{quote.symbol} moved {change_percent:+.2f}% to {quote.price:f}",
        values={"price": quote.price, "change_percent": change_percent, "threshold_percent": anomaly_percent},
    )
