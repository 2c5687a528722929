"""When a signal raises an alert (hysteresis, cooldown, crossings), and what the alerts of each kind say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aws_limits import SNS_SUBJECT_LENGTH
from deployment.functions import ROOT
from lane_state import Alert, AlertState, Bar
from processor_lambda.alerts import (
    BarRule,
    BollingerBreakout,
    MacdCrossover,
    PriceMove,
    Rsi,
    SmaCrossover,
    Split,
    StaleFeed,
    VolumeSpike,
    ZScore,
)
from processor_lambda.alerts.signals import Band, Signal, evaluate
from processor_lambda.alerts.stale_feed import StaleSymbol
from processor_lambda.rows import change_percent_of, timestamp_of
from tests.fakes.pipeline import OPEN, make_quote

BAND = Band(10, 8, -10, -8)
CROSSING = Band(1, 1, -1, -1, is_crossing=True)


def raised(values: Sequence[float], band: Band = BAND, cooldown: int = 0) -> list[int]:
    """The minutes in which an alert is raised. There is one value a minute."""
    state: AlertState | None = None
    minutes = []
    for minute, value in enumerate(values):
        now = OPEN + timedelta(minutes=minute)
        state, is_raised = evaluate(state, Signal(value, band), now, timedelta(minutes=cooldown))
        minutes += [minute] * is_raised
    return minutes


@pytest.mark.parametrize(
    ("values", "minutes"),
    [
        ([0, 10, 11, 12, 11], [2]),
        ([11, 9, 11, 8.1, 11], [0]),  # not back within the hysteresis
        ([11, 8, 11], [0, 2]),
        ([11, -11, 11], [0, 1, 2]),
        ([-11, -9, -11, -7, -11], [0, 4]),
        ([11, -9, 9, 11], [0, 3]),  # past the middle and back
    ],
)
def test_a_signal_raises_one_alert_until_it_was_back_within_its_hysteresis(
    values: list[float], minutes: list[int]
) -> None:
    assert raised(values) == minutes


@pytest.mark.parametrize(
    ("values", "minutes"),
    [
        ([11, 0, 11, 0, 0, 0, 11], [0, 6]),  # flapping within the cooldown
        ([11, 0, 11, 11, 11, 11, 11], [0, 5]),  # raised at the end of the cooldown if it still holds
        ([11, -11, -11, -11, -11, -11], [0, 5]),
        ([11] * 20, [0]),
    ],
)
def test_a_cooldown_delays_an_alert_and_loses_none_that_still_holds(values: list[float], minutes: list[int]) -> None:
    assert raised(values, cooldown=5) == minutes


@pytest.mark.parametrize(
    ("values", "minutes"),
    [([2, 3, -2, 2], [2, 3]), ([0, 2, 3], [1]), ([2, 0.5, -0.5, 0.5, 2], []), ([-2, 0, 2], [2])],
)
def test_a_crossing_raises_an_alert_on_each_new_side_but_not_on_the_first(
    values: list[float], minutes: list[int]
) -> None:
    if values[0] == 0:  # no side is known between the margins, so the next side is the first
        minutes = []
    assert raised(values, CROSSING) == minutes


def test_a_rule_at_rest_has_no_state() -> None:
    state, _ = evaluate(None, Signal(11, BAND), OPEN, timedelta(minutes=5))
    state, _ = evaluate(state, Signal(0, BAND), OPEN + timedelta(minutes=1), timedelta(minutes=5))
    assert state == AlertState(0, 0, OPEN)
    assert evaluate(state, Signal(0, BAND), OPEN + timedelta(minutes=5), timedelta(minutes=5)) == (None, False)


def a_bar(close: str, volume: int | None = 500, **indicators: float) -> Bar:
    price = Decimal(close)
    return Bar(
        symbol="AAPL",
        minute=OPEN,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=volume,
        quotes=1,
        ingest_time=OPEN,
        indicators=indicators,
    )


CASES: list[tuple[BarRule, Bar, str]] = [
    (
        ZScore(above=4),
        a_bar("101.5", z_score=4.52, last_return=0.015, return_mean=0.0001, return_deviation=0.001),
        "AAPL moved 4.5 deviations up in a minute, to 101.50",
    ),
    (
        ZScore(above=4),
        a_bar("99", z_score=-5.0, last_return=-0.01),
        "AAPL moved 5.0 deviations down in a minute, to 99",
    ),
    (
        BollingerBreakout(),
        a_bar("111", sma_20=100.0, bollinger_upper=110.0, bollinger_lower=90.0),
        "AAPL closed at 111, above its Bollinger bands",
    ),
    (
        BollingerBreakout(),
        a_bar("89", sma_20=100.0, bollinger_upper=110.0, bollinger_lower=90.0),
        "AAPL closed at 89, below its Bollinger bands",
    ),
    (Rsi(), a_bar("0.0000000012345", rsi_14=75.25), "AAPL is overbought: RSI 75.2 at 0.0000000012345"),
    (Rsi(), a_bar("0.00000000123456789012", rsi_14=75.25), "AAPL is overbought: RSI 75.2 at 0.0000000012345679"),
    (Rsi(), a_bar("171.62510681152344", rsi_14=75.25), "AAPL is overbought: RSI 75.2 at 171.62511"),
    (Rsi(), a_bar("741971.39", rsi_14=75.25), "AAPL is overbought: RSI 75.2 at 741,971.39"),
    (Rsi(), a_bar("101", rsi_14=75.25), "AAPL is overbought: RSI 75.2 at 101"),
    (Rsi(), a_bar("101", rsi_14=21.0), "AAPL is oversold: RSI 21.0 at 101"),
    (
        VolumeSpike(ratio=5),
        a_bar("101", volume=6000, volume_ratio=6.0, volume_mean=1000.0),
        "AAPL traded 6000 in a minute, 6.0 times its mean, at 101",
    ),
]


@pytest.mark.parametrize(("rule", "bar", "subject"), CASES, ids=[subject for *_, subject in CASES])
def test_the_alert_of_a_bar_says_why_it_was_raised(rule: BarRule, bar: Bar, subject: str) -> None:
    signal = rule.signal(bar, follows_gap=False)
    assert signal is not None
    assert evaluate(None, signal, OPEN, timedelta())[1]
    alert = rule.alert(bar, signal)
    assert alert.subject == subject
    assert alert.id == f"{rule.id}:AAPL:2026-11-23T14:30:00.000Z"
    assert alert.values["close"] == bar.close
    assert len(alert.values) > 2


@pytest.mark.parametrize(
    ("rule", "below", "above", "subject"),
    [
        (
            SmaCrossover(),
            {"sma_5": 99.0, "sma_20": 100.0},
            {"sma_5": 101.0, "sma_20": 100.0},
            "AAPL's 5-minute average rose above its 20-minute one, at 100",
        ),
        (
            MacdCrossover(),
            {"macd": 0.0, "macd_signal": 0.5, "macd_histogram": -0.5},
            {"macd": 1.0, "macd_signal": 0.5, "macd_histogram": 0.5},
            "AAPL's MACD rose above its signal line, at 100",
        ),
    ],
)
def test_a_crossover_raises_an_alert_when_the_sides_change(
    rule: BarRule, below: dict[str, float], above: dict[str, float], subject: str
) -> None:
    first, then = (
        rule.signal(a_bar("100", 500, **below), follows_gap=False),
        rule.signal(a_bar("100", 500, **above), follows_gap=False),
    )
    assert first is not None
    assert then is not None
    state, was_raised = evaluate(None, first, OPEN, timedelta())
    assert not was_raised
    assert evaluate(state, then, OPEN, timedelta())[1]
    assert rule.alert(a_bar("100", 500, **above), then).subject == subject


@pytest.mark.parametrize(
    "rule", [ZScore(), BollingerBreakout(), SmaCrossover(), Rsi(), MacdCrossover(), VolumeSpike()], ids=lambda r: r.id
)
def test_there_is_no_signal_while_an_indicator_is_unknown(rule: BarRule) -> None:
    assert rule.signal(a_bar("100"), follows_gap=False) is None


def test_a_small_return_after_a_flat_hour_is_many_deviations_but_no_signal() -> None:
    signal = ZScore(least_percent=0.2).signal(a_bar("100.1", z_score=900.0, last_return=0.001), follows_gap=False)
    assert signal is not None
    assert signal.value == 0


def test_flat_bands_and_prices_that_are_not_positive_give_no_signal() -> None:
    assert BollingerBreakout().signal(a_bar("100", sma_20=100.0, bollinger_upper=100.0), follows_gap=False) is None
    assert SmaCrossover().signal(a_bar("-3", sma_5=-1.0, sma_20=-2.0), follows_gap=False) is None
    assert MacdCrossover().signal(a_bar("0", macd_histogram=1.0), follows_gap=False) is None


def test_a_long_subject_is_shortened_to_the_limit_of_sns() -> None:
    stale = [StaleSymbol(f"SYMBOL{n}", 16.9 + n, 15 + n) for n in range(40)]
    alert = StaleFeed().alert("lane-00-of-01", stale, OPEN)
    assert len(alert.subject) == SNS_SUBJECT_LENGTH
    assert alert.subject.startswith("40 symbols have had no new price for 16 minutes: SYMBOL0, ")
    assert len(alert.symbols) == 40
    assert alert.values == {"minutes": 16, "threshold": 15, "count": 40}


def alerts_of_every_kind() -> list[Alert]:
    names = (
        *("sma_5", "sma_20", "bollinger_upper", "bollinger_lower", "rsi_14", "macd", "macd_signal", "macd_histogram"),
        *("z_score", "last_return", "return_mean", "return_deviation", "volume_mean", "volume_ratio"),
    )
    bar = a_bar("100", 500, **{name: float(100 + place) for place, name in enumerate(names)})
    rules: list[BarRule] = [ZScore(), BollingerBreakout(), SmaCrossover(), Rsi(), MacdCrossover(), VolumeSpike()]
    quote = make_quote(price="110", previous_close="100")
    prices = {"last_price": Decimal(220), "price": quote.price, "previous_close": quote.previous_close}
    return [
        PriceMove(percent=5).alert(quote, Signal(10, BAND)),
        *(rule.alert(bar, Signal(11, BAND)) for rule in rules),
        StaleFeed().alert("lane-00-of-01", [StaleSymbol("AAPL", 16, 15)], OPEN),
        Split().alert("AAPL", timestamp_of(quote), Fraction(2), prices),
    ]


def test_the_guide_lists_the_values_of_each_kind() -> None:
    text = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `(\w+)` \| (.*) \|$", text.partition("What `values` holds:")[2].partition("\n## ")[0], re.MULTILINE
    )
    documented = {kind: set(re.findall(r"`(\w+)`", values)) for kind, values in rows}
    assert {alert.rule: set(alert.values) for alert in alerts_of_every_kind()} == documented


@given(st.decimals("0.01", 10_000, places=2), st.decimals("0.01", 10_000, places=2))
def test_a_price_move_has_the_percentage_of_its_row(price: Decimal, previous_close: Decimal) -> None:
    quote = make_quote(price=str(price), previous_close=str(previous_close))
    signal, change = PriceMove(percent=5).signal(quote), change_percent_of(quote)
    assert signal is not None
    assert change is not None
    assert signal.value == pytest.approx(float(change), rel=1e-12, abs=1e-6)
    if change in (5, -5):
        assert abs(signal.value) == 5


@given(
    st.decimals(-1_000, 1_000, places=4),
    st.decimals("-0.2", "0.2", places=8),
    st.sampled_from([1e-7, 1e-6, 0.01, 5.0, 1e9]),
)
@example(Decimal(100), Decimal("0.05"), 5.0)
@example(Decimal(100), Decimal("0.05000001"), 5.0)
def test_a_calm_price_raises_no_alert(previous_close: Decimal, change: Decimal, percent: float) -> None:
    quote = make_quote(price=f"{previous_close * (1 + change):f}", previous_close=f"{previous_close:f}")
    rule = PriceMove(percent=percent)
    signal = rule.signal(quote)
    if signal is not None and rule.is_calm(quote):
        assert evaluate(None, signal, quote.event_time, rule.cooldown) == (None, False)
    if abs(change) * 100 < percent * 0.99 - 1e-6:
        assert rule.is_calm(quote) == (previous_close != 0)
