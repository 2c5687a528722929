"""Coarser bars: the exchange's clock, days of 23 and 25 hours, half days, night sessions, and pandas as a reference."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bars.resolutions import ONE_DAY, RESOLUTIONS, Bar, Resolution, aggregated, first_start, merged, span_of
from tests.support.query_bars import MINUTE, at, minutes_from
from tests.support.recorded_bars import recorded_bars
from tests.support.sizes import sized

NEW_YORK, LONDON, KOLKATA = ZoneInfo("America/New_York"), ZoneInfo("Europe/London"), ZoneInfo("Asia/Kolkata")
HOUR = RESOLUTIONS["1h"]
AGGREGATIONS = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
RECORDED = 24
COMPARED = sized(2, RECORDED)
"""How many of the recorded symbols are compared."""


def bar(
    minute: datetime, prices: Sequence[Decimal] = (Decimal(1),) * 4, volume: int | None = 1, quotes: int = 1
) -> Bar:
    """A bar of its open, high, low and close."""
    open_, high, low, close = prices
    return Bar(minute, open_, high, low, close, volume, quotes)


def texts(*prices: str) -> list[Decimal]:
    return [Decimal(price) for price in prices]


def values_of(bar: Bar) -> tuple[float, ...]:
    """The prices and the volume as pandas has them: the recorded prices have few digits."""
    return float(bar.open), float(bar.high), float(bar.low), float(bar.close), float(bar.volume or 0)


def hours_of_day(day: datetime, zone: ZoneInfo) -> float:
    start, end = span_of(day, ONE_DAY, zone)
    return (end - start) / timedelta(hours=1)


@pytest.mark.parametrize(
    ("name", "moment", "start"),
    [
        ("5m", "14:33", "14:30"),
        ("15m", "14:33", "14:30"),
        ("1h", "14:33", "14:00"),
        ("1d", "14:33", "05:00"),
        ("1m", "14:33", "14:33"),
    ],
)
def test_bars_begin_at_full_multiples_of_the_exchanges_clock(name: str, moment: str, start: str) -> None:
    found = span_of(at(f"2026-11-23 {moment}") + timedelta(seconds=59), RESOLUTIONS[name], NEW_YORK)
    assert found.start == at(f"2026-11-23 {start}")
    assert first_start(found.start, RESOLUTIONS[name], NEW_YORK) == found.start
    assert first_start(found.start + timedelta(milliseconds=1), RESOLUTIONS[name], NEW_YORK) == found.end


def test_a_zone_may_be_half_an_hour_off() -> None:
    assert span_of(at("2026-11-23 03:50"), HOUR, KOLKATA).start == at("2026-11-23 03:30")
    assert span_of(at("2026-11-23 03:50"), ONE_DAY, KOLKATA).start == at("2026-11-22 18:30")


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-08 12:00", 23), ("2026-11-01 12:00", 25), ("2026-11-02 12:00", 24)]
)
def test_a_day_on_which_the_clock_changes_has_23_or_25_hours(day: str, hours: int) -> None:
    assert hours_of_day(at(day), NEW_YORK) == hours
    start = span_of(at(day), ONE_DAY, NEW_YORK).start
    minutes = [bar(minute) for minute in minutes_from(start - 60 * MINUTE, (hours + 2) * 60)]
    quotes = [each.quotes for each in aggregated(minutes, ONE_DAY, NEW_YORK)]
    assert quotes == [60, hours * 60, 60]
    by_hour = list(aggregated(minutes, HOUR, NEW_YORK))
    assert [each.quotes for each in by_hour] == [60] * (hours + 2)
    assert len({each.start for each in by_hour}) == hours + 2  # an hour that the clock shows twice is two bars


def test_where_the_clock_skips_midnight_the_day_begins_with_the_change() -> None:
    santiago = ZoneInfo("America/Santiago")
    start, end = span_of(at("2026-09-06 12:00"), ONE_DAY, santiago)
    assert (start, end) == (at("2026-09-06 04:00"), at("2026-09-07 03:00"))
    assert span_of(start - MINUTE, ONE_DAY, santiago).end == start


def test_a_half_day_is_a_short_day_of_its_own() -> None:
    minutes = minutes_from(at("2026-11-25 14:30"), 390) + minutes_from(at("2026-11-27 14:30"), 210)
    days = list(aggregated(map(bar, minutes), ONE_DAY, NEW_YORK))
    assert [(each.start, each.quotes) for each in days] == [
        (at("2026-11-25 05:00"), 390),
        (at("2026-11-27 05:00"), 210),
    ]


def test_a_night_session_is_in_the_bars_of_two_days() -> None:
    night = minutes_from(at("2026-11-30 23:00"), 180)  # 17:00 to 20:00 in Chicago, and to 08:00 in Tokyo
    assert [each.quotes for each in aggregated(map(bar, night), ONE_DAY, ZoneInfo("America/Chicago"))] == [180]
    assert [each.quotes for each in aggregated(map(bar, night), ONE_DAY, ZoneInfo("UTC"))] == [60, 120]
    assert [each.quotes for each in aggregated(map(bar, night), ONE_DAY, ZoneInfo("America/Caracas"))] == [180]


def test_a_bar_has_the_first_open_the_last_close_and_the_extremes_with_their_digits() -> None:
    minutes = minutes_from(at("2026-11-23 14:30"), 3)
    bars = [
        bar(minutes[0], texts("2.0", "3.00", "1.5", "2.5"), 10, 2),
        bar(minutes[1], texts("2.5", "3", "1.50", "1.6"), None, 1),
        bar(minutes[2], texts("9.1", "9.10", "9.1", "9.123456789012345678901234567"), 5, 4),
    ]
    found = merged(bars)
    assert [str(value) for value in (found.open, found.high, found.low, found.close)] == [
        "2.0", "9.10", "1.5", "9.123456789012345678901234567",
    ]  # fmt: skip
    assert (found.start, found.volume, found.quotes) == (minutes[0], 15, 7)


def test_a_volume_that_no_minute_has_is_unknown() -> None:
    minutes = minutes_from(at("2026-11-23 14:30"), 2)
    assert merged([bar(minute, volume=None) for minute in minutes]).volume is None
    assert merged([bar(minutes[0], volume=None), bar(minutes[1], volume=0)]).volume == 0


PRICES = st.decimals(min_value=-1000, max_value=1000, places=3, allow_nan=False)
OFFSETS = st.lists(st.integers(0, 3 * 1_440), min_size=1, max_size=40, unique=True).map(sorted)


@st.composite
def minutes_of_days(draw: st.DrawFn) -> list[Bar]:
    """Minutes with gaps, around a change of the clock in New York and London."""
    start = draw(st.sampled_from([at("2026-10-24 00:00"), at("2026-10-31 00:00"), at("2026-03-07 00:00")]))
    return [
        bar(
            start + offset * MINUTE,
            draw(st.tuples(PRICES, PRICES, PRICES, PRICES)),
            draw(st.none() | st.integers(0, 10**6)),
            draw(st.integers(1, 9)),
        )
        for offset in draw(OFFSETS)
    ]


@settings(max_examples=sized(20, 60))
@given(minutes_of_days(), st.sampled_from([NEW_YORK, LONDON, KOLKATA]))
def test_bars_of_bars_are_the_bars_of_the_minutes(minutes: list[Bar], zone: ZoneInfo) -> None:
    for path in (("5m", "15m", "1h", "1d"), ("15m", "1h")):
        by_steps: Sequence[Bar] = minutes
        for name in path:
            by_steps = list(aggregated(by_steps, RESOLUTIONS[name], zone))
        directly = list(aggregated(minutes, RESOLUTIONS[path[-1]], zone))
        assert by_steps == directly
        assert [str(each) for each in by_steps] == [str(each) for each in directly]  # digits too
        assert sum(each.quotes for each in directly) == sum(each.quotes for each in minutes)


@settings(max_examples=sized(30, 100))
@given(st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1)), st.sampled_from(list(RESOLUTIONS.values())))  # noqa: DTZ001
def test_each_moment_is_in_one_bar(moment: datetime, resolution: Resolution) -> None:
    now = moment.replace(tzinfo=UTC)
    for zone in (NEW_YORK, LONDON, KOLKATA):
        span = span_of(now, resolution, zone)
        assert span.start <= now < span.end
        assert span_of(span.start, resolution, zone) == span
        assert span_of(span.end - timedelta(milliseconds=1), resolution, zone) == span
        assert span_of(span.end, resolution, zone).start == span.end


def test_recorded_bars_equal_those_of_pandas(recordings: Path) -> None:
    folder = recordings / "minute" / "eqker"
    symbols = sorted(path.name.removesuffix("_1min.csv") for path in folder.glob("*_1min.csv"))
    assert len(symbols) == RECORDED
    for symbol in symbols[:: RECORDED // COMPARED]:
        rows = sorted(recorded_bars(folder, symbol))
        bars = [bar(datetime.fromisoformat(minute), prices, int(volume)) for (_, minute), (*prices, volume) in rows]
        frame = pd.DataFrame(
            [values_of(each) for each in bars],
            columns=list(AGGREGATIONS),
            index=pd.DatetimeIndex([each.start for each in bars]).tz_convert(NEW_YORK),
        )
        for name, rule in (("5m", "5min"), ("15m", "15min"), ("1h", "1h"), ("1d", "1D")):
            expected = frame.resample(rule).agg(AGGREGATIONS).dropna()
            found = list(aggregated(bars, RESOLUTIONS[name], NEW_YORK))
            assert [each.start for each in found] == list(expected.index)
            assert [values_of(each) for each in found] == list(expected.itertuples(index=False, name=None))
            assert len(found) >= 5
