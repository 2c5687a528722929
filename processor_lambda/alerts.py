"""Whether a rule's signal is worth an alert, and what the alert says. Pure.

A rule turns a quote, a closed bar or a silence into one number, and has a band for it. Beyond the band's edge the
signal is on, on one side or the other, until it is back within the edge where it is armed again (hysteresis). An alert
is raised when a signal goes on, but no sooner after the last than the rule's cooldown: what is still on then, and was
not announced, is raised then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from processor_lambda.rows import PERCENT_PLACES, significant, timestamp_of
from processor_lambda.rules import (
    BarRule,
    BollingerBreakout,
    MacdCrossover,
    PriceMove,
    Rsi,
    Rule,
    SmaCrossover,
    Split,
    StaleFeed,
    VolumeSpike,
    ZScore,
)
from processor_lambda.state import Alert, Bar, Flag, SymbolState
from quotes import Quote, to_iso

MAX_SUBJECT = 99
"""SNS takes fewer than 100 characters."""
_MINUTE_MS = 60_000


class Silent(NamedTuple):
    """A symbol that is silent, for how long, and from when on that is too long."""

    symbol: str
    minutes: float
    limit: float


class Band(NamedTuple):
    """Beyond `upper` or `lower` a signal is on; it goes off between `lower_end` and `upper_end`."""

    upper: float
    upper_end: float
    lower: float
    lower_end: float
    is_crossing: bool = False
    """It goes from one side to the other and never off; the first side that is known is no news."""


class Signal(NamedTuple):
    """What a rule makes of an event."""

    value: float
    band: Band


def judged(flag: Flag | None, signal: Signal, now: datetime, cooldown: timedelta) -> tuple[Flag | None, bool]:
    """What is remembered of a rule after a signal, and whether to raise an alert. None is a flag at rest."""
    value, band = signal
    side = _side(0 if flag is None else flag.side, value, band)
    announced = 0 if flag is None or not side else flag.announced
    raised_at = flag.raised_at if flag is not None and is_cooling(flag, now, cooldown) else None
    if side == announced:
        return _flag(flag, side, announced, raised_at), False
    if band.is_crossing and flag is None:
        return Flag(side, side, None), False
    if raised_at is not None:
        return _flag(flag, side, announced, raised_at), False
    return Flag(side, side, now), True


def is_cooling(flag: Flag | None, now: datetime, cooldown: timedelta) -> bool:
    """Whether an alert was raised so recently that there is no other yet."""
    return flag is not None and flag.raised_at is not None and now - flag.raised_at < cooldown


def quote_signal(rule: PriceMove, quote: Quote) -> Signal | None:
    """How far the price is from the previous close, in percent; None where that is unknown."""
    if not quote.previous_close:
        return None
    # As the row's `change_percent`, in a quarter of its time: this is done for every quote.
    change = float(quote.price - quote.previous_close) * 100 / abs(float(quote.previous_close))
    return Signal(round(change, PERCENT_PLACES), _symmetric(rule.percent or 0.0, rule.rearm))


def bar_signal(rule: BarRule, bar: Bar) -> Signal | None:  # noqa: PLR0911  (one a kind)
    """What a rule makes of a closed bar and its indicators; None while they are not known."""
    values, close = bar.indicators, float(bar.close)
    match rule:
        case ZScore():
            return _known(_score(rule, values), _symmetric(rule.above, rule.rearm))
        case BollingerBreakout():
            middle, upper = values.get("sma_20"), values.get("bollinger_upper")
            if middle is None or upper is None or upper <= middle:
                return None
            return Signal((close - middle) / (upper - middle), _symmetric(rule.widths, rule.rearm))
        case SmaCrossover():
            fast, slow = values.get("sma_5"), values.get("sma_20")
            if fast is None or slow is None or slow <= 0:
                return None
            return Signal((fast / slow - 1) * 100, _crossing(rule.margin_percent))
        case Rsi():
            above, below = rule.above - 50, rule.below - 50
            band = Band(rule.above, 50 + above * rule.rearm, rule.below, 50 + below * rule.rearm)
            return _known(values.get("rsi_14"), band)
        case MacdCrossover():
            histogram = values.get("macd_histogram")
            if histogram is None or close <= 0:
                return None
            return Signal(histogram / close * 100, _crossing(rule.margin_percent))
        case VolumeSpike():
            return _known(values.get("volume_ratio"), _one_sided(rule.ratio, rule.rearm))


def stale_signal(rule: StaleFeed, state: SymbolState, clock: datetime) -> Signal:
    """How many minutes a symbol has been silent, beyond the delay that its source declares; 0 in a closed market."""
    limit = max(rule.minutes, rule.intervals * state.interval_ms / _MINUTE_MS)
    silence = (clock - state.silent_since) / timedelta(minutes=1) - state.delay_minutes if state.is_open else 0.0
    return Signal(silence, _one_sided(limit, rule.rearm))


def move_alert(rule: PriceMove, quote: Quote, signal: Signal) -> Alert:
    """The alert of a price far from the previous close."""
    subject = f"{quote.symbol} moved {signal.value:+.2f}% to {quote.price:f}"
    values = {
        "price": quote.price,
        "change_percent": significant(signal.value),
        "threshold": significant(rule.percent or 0.0),
    }
    return _alert(rule, quote.symbol, timestamp_of(quote), subject, values)


def bar_alert(rule: BarRule, bar: Bar, signal: Signal) -> Alert:
    """The alert of a closed bar, with the indicators that raised it."""
    names, threshold = _CAUSES[type(rule)]
    values = {"close": bar.close, threshold: significant(signal.band.upper if signal.value > 0 else signal.band.lower)}
    if isinstance(rule, Rsi):
        values[threshold] = significant(rule.above if signal.value > rule.below else rule.below)
    values |= {name: significant(bar.indicators[name]) for name in names if name in bar.indicators}
    if isinstance(rule, VolumeSpike) and bar.volume is not None:
        values["volume"] = Decimal(bar.volume)
    return _alert(rule, bar.symbol, to_iso(bar.minute), _bar_subject(rule, bar, signal), values)


def stale_alert(rule: StaleFeed, lane: str, silent: Sequence[Silent], clock: datetime) -> Alert:
    """One alert for all symbols of a lane that are silent by a heartbeat, with the least of their silences."""
    least = min(silent, key=lambda each: each.minutes)
    minutes = math.floor(least.minutes)
    values = {
        "minutes": significant(minutes),
        "threshold": significant(least.limit),
        "count": Decimal(len(silent)),
    }
    if len(silent) == 1:
        subject = f"{least.symbol} has had no new price for {minutes} minutes"
        return _alert(rule, least.symbol, to_iso(clock), subject, values)
    symbols = sorted(each.symbol for each in silent)
    subject = f"{len(silent)} symbols have had no new price for {minutes} minutes: {', '.join(symbols)}"
    return _alert(rule, lane, to_iso(clock), subject, values, symbols=tuple(symbols))


def split_alert(rule: Split, quote: Quote, last: Decimal, new_shares: float) -> Alert:
    """That a symbol has split, and what was remembered of it is rescaled."""
    kind = f"{new_shares:g} for 1" if new_shares > 1 else f"1 for {1 / new_shares:g}"
    values = {"new_shares_for_one": significant(new_shares), "last_price": last, "price": quote.price}
    if quote.previous_close is not None:
        values["previous_close"] = quote.previous_close
    subject = f"{quote.symbol} split {kind}: its indicators are rescaled"
    return _alert(rule, quote.symbol, timestamp_of(quote), subject, values)


_CAUSES: Mapping[type, tuple[tuple[str, ...], str]] = {
    ZScore: (("z_score", "last_return", "return_mean", "return_deviation"), "threshold"),
    BollingerBreakout: (("bollinger_upper", "sma_20", "bollinger_lower"), "threshold_widths"),
    SmaCrossover: (("sma_5", "sma_20"), "margin_percent"),
    Rsi: (("rsi_14",), "threshold"),
    MacdCrossover: (("macd", "macd_signal", "macd_histogram"), "margin_percent"),
    VolumeSpike: (("volume_mean", "volume_ratio"), "threshold"),
}
"""Of each kind: the indicators that its alerts carry, and the name of the threshold there."""


def _bar_subject(rule: BarRule, bar: Bar, signal: Signal) -> str:
    symbol, close, is_up = bar.symbol, f"{bar.close:f}", signal.value > 0
    match rule:
        case ZScore():
            return (
                f"{symbol} moved {abs(signal.value):.1f} deviations {'up' if is_up else 'down'} in a minute, to {close}"
            )
        case BollingerBreakout():
            return f"{symbol} closed at {close}, {'above' if is_up else 'below'} its Bollinger bands"
        case SmaCrossover():
            return (
                f"{symbol}'s 5-minute average {'rose above' if is_up else 'fell below'} its 20-minute one, at {close}"
            )
        case Rsi():
            is_high = signal.value > rule.below
            return f"{symbol} is {'overbought' if is_high else 'oversold'}: RSI {signal.value:.1f} at {close}"
        case MacdCrossover():
            return f"{symbol}'s MACD {'rose above' if is_up else 'fell below'} its signal line, at {close}"
        case VolumeSpike():
            return f"{symbol} traded {bar.volume} in a minute, {signal.value:.1f} times its mean, at {close}"


def _alert(
    rule: Rule,
    subject_of: str,
    timestamp: str,
    subject: str,
    values: dict[str, Decimal],
    *,
    symbols: tuple[str, ...] = (),
) -> Alert:
    return Alert(
        id=f"{rule.id}:{subject_of}:{timestamp}",
        rule=rule.id,
        severity=rule.severity,
        symbol=subject_of,
        timestamp=timestamp,
        subject=subject if len(subject) <= MAX_SUBJECT else f"{subject[: MAX_SUBJECT - 3]}...",
        values=values,
        symbols=symbols,
    )


def _score(rule: ZScore, values: Mapping[str, float]) -> float | None:
    """The z-score; 0 for a return too small for it to mean anything."""
    score = values.get("z_score")
    return 0.0 if score is not None and abs(values["last_return"]) * 100 < rule.least_percent else score


def _side(before: int, value: float, band: Band) -> int:
    if value > band.upper:
        return 1
    if value < band.lower:
        return -1
    if band.is_crossing:
        return before
    if before > 0:
        return 1 if value > band.upper_end else 0
    return -1 if before < 0 and value < band.lower_end else 0


def _flag(before: Flag | None, side: int, announced: int, raised_at: datetime | None) -> Flag | None:
    if not side and raised_at is None:
        return None
    after = Flag(side, announced, raised_at)
    return before if before == after else after


@cache
def _symmetric(edge: float, rearm: float) -> Band:
    return Band(edge, edge * rearm, -edge, -edge * rearm)


def _crossing(margin: float) -> Band:
    return Band(margin, margin, -margin, -margin, is_crossing=True)


def _one_sided(edge: float, rearm: float) -> Band:
    return Band(edge, edge * rearm, -math.inf, -math.inf)


def _known(value: float | None, band: Band) -> Signal | None:
    return None if value is None else Signal(value, band)
