"""Bars: their prices, their volumes, when they close, and which quotes are too late for them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from indicators import Indicators
from lane_state import WHOLE, LaneState, Position
from processor_lambda.alerts import Rules, VolumeSpike
from processor_lambda.fold import Fold
from tests.fakes.pipeline import make_quote
from tests.support.lane_folding import DAY, fold_batches, heartbeat, positioned, regular_quote


def test_a_bar_has_the_first_highest_lowest_and_last_price_of_its_minute() -> None:
    lines = [make_quote(second=s, price=p) for s, p in ((1, "10"), (2, "12"), (30, "9"), (59.999, "11"))]
    [bar], _, _ = fold_batches([*lines, heartbeat(60)])
    assert (bar.open, bar.high, bar.low, bar.close, bar.quotes) == (
        Decimal(10),
        Decimal(12),
        Decimal(9),
        Decimal(11),
        4,
    )


def test_a_bar_is_closed_by_a_quote_of_a_later_minute_or_by_a_heartbeat_past_its_end() -> None:
    assert [bar.minute.minute for bar in fold_batches([make_quote(second=0), make_quote(second=60)]).bars] == [30]
    assert fold_batches([make_quote(second=0), heartbeat(59.999)]).bars == []
    assert len(fold_batches([make_quote(second=0), heartbeat(60)]).bars) == 1


def test_a_quote_of_a_closed_minute_changes_no_bar() -> None:
    bars, _, state = fold_batches(
        [make_quote(second=0), heartbeat(60), make_quote(second=59, price="999"), heartbeat(120)]
    )
    assert [bar.high for bar in bars] == [Decimal(100)]
    assert state.symbols["AAPL"].price == Decimal(100)


def test_a_later_revision_of_the_newest_quote_changes_the_bar() -> None:
    [bar], _, _ = fold_batches([make_quote(price="100"), make_quote(price="90", revision=1), heartbeat(60)])
    assert (bar.low, bar.close, bar.quotes) == (Decimal(90), Decimal(90), 2)


def test_quotes_that_change_nothing_are_counted_as_late_or_repeated() -> None:
    lines = positioned(
        [make_quote(second=5), make_quote(second=4), make_quote(second=5), heartbeat(60), make_quote(second=6)]
    )
    folded = Fold(Rules(()))(LaneState(), lines, Position(0, WHOLE), {})
    assert (folded.quotes, folded.late, folded.repeated) == (4, 2, 1)


def test_a_symbol_keeps_the_last_exchange_that_the_source_named() -> None:
    named = [replace(make_quote(second=second), exchange=name) for second, name in enumerate(("NMS", "NYQ", None))]
    assert fold_batches(named).state.symbols["AAPL"].exchange == "NYQ"
    assert fold_batches([make_quote()]).state.symbols["AAPL"].exchange is None


@pytest.mark.parametrize(
    ("volumes", "traded"),
    [
        ((0, 500), 500),
        ((1_000, 1_000), 0),
        ((1_000, 1_250, 1_300), 300),
        ((1_000, 990, 1_010), 10),  # a correction is not a trade
        ((9_000_000, 40), 40),  # it starts from zero, as far as a source without closes and market states tells
        ((None, None), None),
        ((100, None, 150), 50),
    ],
)
def test_the_volume_of_a_bar_comes_from_the_cumulative_volume_of_the_day(
    volumes: tuple[int | None, ...], traded: int | None
) -> None:
    lines = [make_quote(second=second, volume=volume) for second, volume in enumerate(volumes)]
    [bar], _, _ = fold_batches([*lines, heartbeat(60)])
    assert bar.volume == traded


def test_volume_between_two_bars_belongs_to_the_later_one() -> None:
    lines = [make_quote(second=0, volume=100), make_quote(second=30, volume=150), make_quote(second=61, volume=400)]
    assert [bar.volume for bar in fold_batches([*lines, heartbeat(120)]).bars] == [50, 250]


@pytest.mark.parametrize(
    ("volume", "previous_close", "traded"),
    [
        (200, "99", 200),  # the volume fell, though not below half: a thin symbol
        (200, "98", 200),
        (450, "99", 450),  # the first quote of the day has more than the day before
        (450, "98", 150),  # the previous close does not show the new day yet
        (300, "98", 0),
    ],
)
def test_a_day_starts_from_zero(volume: int, previous_close: str, traded: int) -> None:
    friday = make_quote(volume=300, previous_close="98")
    monday = make_quote(second=3 * DAY, volume=volume, previous_close=previous_close)
    bars, _, _ = fold_batches([friday, monday, heartbeat(3 * DAY + 60)])
    assert [bar.volume for bar in bars] == [0, traded]


@pytest.mark.parametrize(
    ("volume", "previous_close"), [(9900, "98"), (10_000, "98.1"), (9900, "98.1")], ids=["volume", "close", "both"]
)
def test_a_correction_after_hours_without_a_trade_is_not_a_new_day(volume: int, previous_close: str) -> None:
    first = regular_quote("AAPL", 0, volume=10_000, previous_close=Decimal(98))
    second = regular_quote("AAPL", 20_000, volume=volume, previous_close=Decimal(previous_close))
    assert [bar.volume for bar in fold_batches([first, second, heartbeat(20_100)]).bars] == [0, 0]


def test_before_the_open_the_volume_is_that_of_the_day_before() -> None:
    evening = replace(make_quote(volume=500, previous_close="97"), market_state="POST")
    morning = [
        replace(make_quote(second=DAY / 2 + n, volume=510, previous_close="98"), market_state="PRE") for n in range(2)
    ]
    opening = replace(make_quote(second=DAY, volume=300, previous_close="98"), market_state="REGULAR")
    bars, _, _ = fold_batches([evening, *morning, opening, heartbeat(DAY + 60)])
    assert [bar.volume for bar in bars] == [0, 10, 300]


@pytest.mark.parametrize(
    ("step", "gap", "is_spike"),
    [(60, 60, True), (60, 3600, False), (1800, 1800, True)],
    ids=["no gap", "a gap", "a usual pause"],
)
def test_the_volume_after_a_gap_is_not_a_spike(step: int, gap: int, *, is_spike: bool) -> None:
    """After an outage, a bar has the volume of the whole outage."""
    times = [n * step for n in range(30)]
    last = times[-1] + gap
    lines = [regular_quote("AAPL", time, volume=100 * n) for n, time in enumerate(times)]
    lines.append(regular_quote("AAPL", last, volume=2_900 + 5_000))
    assert bool(fold_batches([*lines, heartbeat(last + 60)], rules=[VolumeSpike()]).alerts) is is_spike


def test_a_bar_has_the_indicators_that_are_known_at_its_close() -> None:
    bars, _, _ = fold_batches([make_quote(second=minute * 60, price=str(100 + minute)) for minute in range(31)])
    assert "sma_5" not in bars[3].indicators
    assert bars[4].indicators["sma_5"] == 102
    assert bars[29].indicators["sma_20"] == 119.5
    assert {"ema_26", "macd", "rsi_14", "bollinger_upper"} <= bars[29].indicators.keys()


def test_a_new_symbol_starts_with_the_given_indicators() -> None:
    warm = Indicators()
    for minute in range(4):
        warm = warm.advanced(make_quote(second=minute * 60 - 3600).event_time, 100.0, None)
    [bar] = fold_batches([make_quote(price="110"), heartbeat(60)], warm={"AAPL": warm}).bars
    assert bar.indicators["sma_5"] == 102
