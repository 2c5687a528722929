"""Bars of a chart: exact and unadjusted, whatever is wrong with the chart, and how far the chart says everything."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quotes import Action
from tests.support.sizes import sized
from yahoo_requests.charts import ChartBar, ChartWindow, ParsedChart, parse_chart
from yahoo_requests.json_values import MalformedResponse

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
OPEN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
CLOSE = OPEN + 6.5 * HOUR
MIDNIGHT = datetime(2026, 11, 23, 5, tzinfo=UTC)
"""The day begins in New York."""
DAYS = [(OPEN + number * DAY, CLOSE + number * DAY) for number in range(3)]
WINDOW = ChartWindow(MIDNIGHT, MIDNIGHT + DAY, tuple(DAYS))
LATER = datetime(2026, 11, 27, 12, tzinfo=UTC)

Values = tuple[object, ...]


def widened(value: float) -> float:
    """A price as Yahoo prints it: in single precision."""
    (single,) = struct.unpack("<f", struct.pack("<f", value))
    return float(single)


def rows(start: datetime, count: int, step: timedelta = MINUTE) -> dict[datetime, Values]:
    """Rows whose prices rise by a cent each."""
    return {
        start + number * step: (*(widened(100 + number / 100 + each) for each in (0, 0.05, -0.05, 0.01)), 1000 + number)
        for number in range(count)
    }


def flat(price: float, volume: object = 0) -> Values:
    return (price, price, price, price, volume)


def body(
    table: Sequence[tuple[datetime, Values]] | dict[datetime, Values], events: object = None, **meta: object
) -> bytes:
    """A chart of AAPL in minutes, unless `meta` says something else."""
    table = list(table.items()) if isinstance(table, dict) else table
    names = ("open", "high", "low", "close", "volume")
    result: dict[str, Any] = {
        "meta": {
            "symbol": "AAPL",
            "currency": "USD",
            "exchangeTimezoneName": "America/New_York",
            "dataGranularity": "1m",
            "regularMarketTime": int(LATER.timestamp()),
            **meta,
        },
        "indicators": {"quote": [{name: [row[1][index] for row in table] for index, name in enumerate(names)}]},
    }
    if table:
        result["timestamp"] = [int(start.timestamp()) for start, _ in table]
    else:
        result["indicators"] = {"quote": [{}]}
    if events is not None:
        result["events"] = events
    return json.dumps({"chart": {"result": [result], "error": None}}).encode()


def parsed(
    chart: bytes, window: ChartWindow = WINDOW, fetched_at: datetime = LATER, resolution: Any = "1m", **options: Any
) -> ParsedChart:
    return parse_chart(chart, "AAPL", resolution, window, fetched_at, **options)


def starts(chart: ParsedChart) -> list[datetime]:
    return [bar.start for bar in chart.bars]


def split(numerator: int, denominator: int, at: datetime) -> Action:
    return Action(
        symbol="AAPL",
        action="split",
        event_time=at,
        source="yahoo",
        ingest_time=LATER,
        numerator=numerator,
        denominator=denominator,
    )


def test_a_whole_session() -> None:
    chart = parsed(body(rows(OPEN, 390)))

    assert len(chart.bars) == 390
    assert chart.bars[0] == ChartBar(OPEN, Decimal(100), Decimal("100.05"), Decimal("99.95"), Decimal("100.01"), 1000)
    assert chart.bars[-1].start == CLOSE - MINUTE
    assert (chart.complete_to, chart.currency, chart.timezone) == (WINDOW.end, "USD", "America/New_York")
    assert (chart.problems, chart.actions, chart.is_known) == ((), (), True)


@given(st.lists(st.integers(1, 13_107_199), min_size=4, max_size=4))
def test_prices_have_the_digits_that_were_traded(cents: list[int]) -> None:
    first, *others = (widened(each / 100) for each in cents)
    chart = parsed(body({OPEN: (first, max(first, *others), min(first, *others), others[-1], 1)}))

    (bar,) = chart.bars
    exact = [Decimal(each) / 100 for each in cents]
    assert (bar.open, bar.high, bar.low, bar.close) == (exact[0], max(exact), min(exact), exact[-1])


def test_a_number_that_is_not_in_single_precision_is_meant_as_it_is_printed() -> None:
    chart = body({OPEN: flat(123456.789012, 5)})

    (bar,) = parsed(chart).bars
    assert bar.close == Decimal("123456.789012")
    (bar,) = parsed(chart, splits=[split(3, 1, OPEN + DAY)]).bars
    assert bar.close == Decimal("370370.367036")


# Splits


@pytest.mark.parametrize(("numerator", "denominator"), [(4, 1), (3, 1), (20, 1), (3, 2), (1, 10), (7, 3), (1, 3)])
def test_the_prices_before_a_split_are_those_that_were_traded(numerator: int, denominator: int) -> None:
    traded, shares = 171.33, 1_260_000
    adjusted = widened(traded * denominator / numerator)
    at = OPEN + DAY
    table = {OPEN: flat(adjusted, shares * numerator // denominator), at: flat(adjusted, 7)}

    before, after = parsed(
        body(table), WINDOW._replace(end=MIDNIGHT + 2 * DAY), splits=[split(numerator, denominator, at)]
    ).bars

    assert (before.close, before.volume) == (Decimal("171.33"), shares)
    assert (after.close, after.volume) == (parsed(body({OPEN: flat(adjusted)})).bars[0].close, 7)


@settings(max_examples=sized(25, 150))
@given(st.integers(100, 9_999_999), st.integers(1, 50), st.integers(1, 50))
def test_any_ratio_is_undone(cents: int, numerator: int, denominator: int) -> None:
    adjusted = widened(cents * denominator / numerator / 100)
    (bar,) = parsed(body({OPEN: flat(adjusted)}), splits=[split(numerator, denominator, OPEN + DAY)]).bars

    assert bar.close == Decimal(cents) / 100


def dividend(amount: float, at: datetime) -> dict[str, Any]:
    return {"dividends": {"1": {"date": int(at.timestamp()), "amount": amount}}}


@pytest.mark.parametrize(
    ("amount", "splits", "paid"),
    [
        (0.205, [(4, 1)], "0.82"),  # AAPL on 2020-08-07
        (0.47, [(7, 1)], "3.29"),  # AAPL on 2014-05-08, as Yahoo had it in 2019
        (0.094643, [(7, 1), (4, 1)], "2.65"),  # AAPL on 2012-08-09
        (2.5, [(1, 10)], "0.25"),
    ],
)
def test_a_dividend_before_a_split_is_what_was_paid(amount: float, splits: list[tuple[int, int]], paid: str) -> None:
    known = [split(new, old, OPEN + (number + 1) * DAY) for number, (new, old) in enumerate(splits)]
    (action,) = parsed(body({}, dividend(amount, OPEN)), splits=known).actions
    assert action.amount == Decimal(paid)


def test_a_dividend_of_the_day_of_a_split_is_paid_for_new_shares() -> None:
    (action,) = parsed(body({}, dividend(0.205, OPEN)), splits=[split(4, 1, OPEN)]).actions
    assert action.amount == Decimal("0.205")


@settings(max_examples=sized(25, 150))
@given(st.integers(1, 10_000), st.integers(1, 50), st.integers(1, 50))
@example(cents=1, numerator=32, denominator=1)  # half a millionth, which may be rounded up or down
def test_any_ratio_is_undone_in_a_dividend(cents: int, numerator: int, denominator: int) -> None:
    amount = round(cents / 100 * denominator / numerator, 6)
    (action,) = parsed(body({}, dividend(amount, OPEN)), splits=[split(numerator, denominator, OPEN + DAY)]).actions

    assert action.amount == Decimal(cents) / 100


def test_several_splits_multiply_and_one_that_is_known_twice_counts_once() -> None:
    events = {"splits": {"1": {"date": int((OPEN + DAY).timestamp()), "numerator": 2, "denominator": 1}}}
    splits = [split(2, 1, OPEN + DAY), split(5, 1, OPEN + 2 * DAY)]

    chart = parsed(body(rows(OPEN, 1), events), splits=splits)

    assert chart.bars[0].open == 1000
    assert [(action.action, action.event_time) for action in chart.actions] == [("split", OPEN + DAY)]


def test_a_split_in_the_future_is_not_in_the_prices() -> None:
    (bar,) = parsed(body({OPEN: flat(10)}), fetched_at=OPEN + HOUR, splits=[split(2, 1, OPEN + DAY)]).bars
    assert bar.close == 10


def test_the_day_of_a_split_is_traded_in_new_shares() -> None:
    table = {OPEN - DAY: flat(25, 8), OPEN: flat(25, 8)}
    window = ChartWindow(MIDNIGHT - DAY, MIDNIGHT + DAY)

    before, after = parsed(body(table, dataGranularity="1d"), window, resolution="1d", splits=[split(4, 1, OPEN)]).bars

    assert [(bar.close, bar.volume) for bar in (before, after)] == [(Decimal(100), 2), (Decimal(25), 8)]


def test_the_actions_of_a_chart_are_as_old_as_they_are() -> None:
    events = {
        "splits": {"1": {"date": 1_000_000_000, "numerator": 4, "denominator": 1}},
        "dividends": {"1": {"date": 1_100_000_000, "amount": 0.205}, "2": {"date": 1_200_000_000, "amount": "none"}},
    }

    chart = parsed(body({}, events))

    assert [(action.action, action.amount) for action in chart.actions] == [
        ("split", None),
        ("dividend", Decimal("0.205")),
    ]
    assert chart.problems == ("dividend: amount 'none' is not a finite number",)


# Rows that are no finished bars


def test_the_row_of_the_present_and_the_unfinished_bar_are_left_out() -> None:
    now = OPEN + timedelta(minutes=30, seconds=20)
    live = now - timedelta(seconds=3)
    chart = parsed(body({**rows(OPEN, 31), live: flat(105)}, regularMarketTime=int(live.timestamp())), fetched_at=now)

    assert starts(chart) == [OPEN + number * MINUTE for number in range(30)]
    assert chart.complete_to == OPEN + 30 * MINUTE
    assert chart.problems == ()


def test_the_row_of_the_last_trade_is_left_out_after_the_session_too() -> None:
    chart = parsed(body({**rows(OPEN, 390), CLOSE + timedelta(seconds=1): flat(105)}))

    assert (starts(chart)[-1], chart.problems) == (CLOSE - MINUTE, ())


def test_the_last_bar_of_a_delayed_exchange_is_unfinished_though_its_time_is_over() -> None:
    now = OPEN + 45 * MINUTE
    last_trade = OPEN + timedelta(minutes=30, seconds=10)
    chart = parsed(body(rows(OPEN, 31), regularMarketTime=int(last_trade.timestamp())), fetched_at=now)

    assert starts(chart)[-1] == OPEN + 29 * MINUTE
    assert chart.complete_to == OPEN + 30 * MINUTE


def test_half_an_hour_after_its_end_a_bar_is_finished() -> None:
    last_trade = int((CLOSE - timedelta(seconds=2)).timestamp())
    chart = body(rows(OPEN, 390), regularMarketTime=last_trade)

    assert len(parsed(chart, fetched_at=CLOSE + 29 * MINUTE).bars) == 389
    assert len(parsed(chart, fetched_at=CLOSE + 30 * MINUTE).bars) == 390


def test_the_bar_of_today_is_unfinished_until_midnight() -> None:
    table = {OPEN - DAY: flat(10, 1), OPEN: flat(11, 1)}
    window = ChartWindow(MIDNIGHT - DAY, MIDNIGHT + DAY)
    chart = body(table, dataGranularity="1d", regularMarketTime=int(CLOSE.timestamp()))

    evening = parsed(chart, window, CLOSE + 5 * HOUR, "1d")
    assert (starts(evening), evening.complete_to) == ([MIDNIGHT - DAY], MIDNIGHT)
    assert starts(parsed(chart, window, MIDNIGHT + DAY + HOUR, "1d")) == [MIDNIGHT - DAY, MIDNIGHT]


def test_the_bar_of_the_closing_auction_is_kept() -> None:
    price = Decimal("104.5")
    chart = parsed(body({**rows(OPEN, 390), CLOSE: flat(104.5)}))

    assert chart.bars[-1] == ChartBar(CLOSE, price, price, price, price, None)
    assert chart.problems == ()


def test_the_closing_auction_ends_an_hour_that_it_falls_into() -> None:
    table = {**rows(OPEN, 7, HOUR), CLOSE: flat(200)}
    chart = parsed(body(table, dataGranularity="60m"), resolution="1h")

    assert starts(chart) == [OPEN + number * HOUR for number in range(7)]
    assert (chart.bars[-1].high, chart.bars[-1].close) == (Decimal(200), Decimal(200))
    assert chart.bars[-1].volume == 1006


def test_rows_before_and_after_the_sessions_are_left_out() -> None:
    early, late = OPEN - HOUR, CLOSE + MINUTE
    chart = parsed(body({early: flat(9), **rows(OPEN, 390), late: flat(9), late + MINUTE: flat(9)}))

    assert (starts(chart)[0], len(chart.bars)) == (OPEN, 390)
    assert chart.problems == ("3 rows outside the sessions were left out",)


def test_rows_outside_the_window_are_left_out() -> None:
    chart = parsed(body({**rows(OPEN - DAY, 2), **rows(OPEN, 390), **rows(OPEN + DAY, 1)}))

    assert len(chart.bars) == 390
    assert chart.problems == ("3 rows outside the window were left out",)


@pytest.mark.parametrize("volume", [0, None, -1, 1.5e300, "12"])
def test_a_volume_that_yahoo_does_not_know_is_none(volume: object) -> None:
    (bar,) = parsed(body({OPEN: (10, 11, 9, 10, volume)})).bars
    assert bar.volume is None


@pytest.mark.parametrize("values", [(None,) * 5, (10, None, 9, 10, 5), (10, 11, 9, None, 0)])
def test_a_null_row_is_no_bar_and_says_that_nothing_was_traded(values: Values) -> None:
    chart = parsed(body({**rows(OPEN, 5), **{OPEN + number * MINUTE: values for number in range(5, 390)}}))

    assert len(chart.bars) == 5
    assert (chart.complete_to, chart.problems) == (WINDOW.end, ())


@pytest.mark.parametrize("value", [0, 0.0, "10", float("nan"), float("inf"), 1e300, 10**400, True, [1]])
def test_a_row_with_an_unusable_price_is_left_out(value: object) -> None:
    chart = parsed(body({**rows(OPEN, 2), OPEN + 2 * MINUTE: (value, 11, 9, 10, 5)}))

    assert len(chart.bars) == 2
    assert len(chart.problems) == 1
    assert "is not a price" in chart.problems[0]


def test_high_and_low_are_those_of_all_prices() -> None:
    (bar,) = parsed(body({OPEN: (12, 11, 9, 8, 5)})).bars
    assert (bar.open, bar.high, bar.low, bar.close) == tuple(map(Decimal, (12, 12, 8, 8)))


def test_negative_prices_are_prices() -> None:
    (bar,) = parsed(body({OPEN: flat(widened(-37.63))})).bars
    assert bar.close == Decimal("-37.63")


def test_rows_in_any_order_are_sorted() -> None:
    table = list(rows(OPEN, 390).items())
    assert parsed(body(table[200:] + table[:200])) == parsed(body(table))


# Rows of the same time


def test_a_row_that_is_repeated_counts_once() -> None:
    table = list(rows(OPEN, 390).items())
    assert parsed(body(table + table[:30])) == parsed(body(table))


def test_of_two_rows_of_one_time_that_with_more_volume_is_right() -> None:
    one, other = (OPEN, (10, 11, 9, 10, 0)), (OPEN, (10, 12, 9, 10, 7))
    for table in ([one, other], [other, one]):
        chart = parsed(body(table))
        assert [(bar.high, bar.volume) for bar in chart.bars] == [(Decimal(12), 7)]
        assert chart.problems == ("1 row of the same time as another was left out",)


def test_a_null_row_does_not_replace_another() -> None:
    table = [(OPEN, flat(10)), (OPEN, (None,) * 5)]
    assert [bar.close for bar in parsed(body(table)).bars] == [10]
    assert [bar.close for bar in parsed(body(table[::-1])).bars] == [10]


@pytest.mark.parametrize("other", [(10, 12, 9, 10, 0), flat(12, 5)])
def test_a_row_that_begins_before_another_ends_is_left_out(other: Values) -> None:
    table = {OPEN: (10, 11, 9, 10, 5), OPEN + HOUR / 2: other}

    chart = parsed(body(table, dataGranularity="1h"), resolution="1h")

    assert [(bar.start, bar.high) for bar in chart.bars] == [(OPEN, Decimal(11))]
    assert chart.problems == ("1 row before the end of another was left out",)


@pytest.mark.parametrize(
    ("zone", "local"),
    [
        ("Europe/London", ["2026-10-23 00:00+01:00", "2026-10-25 23:00+00:00", "2026-10-27 00:00+00:00"]),
        ("Europe/London", ["2026-10-23 00:00+01:00", "2026-10-26 00:00+00:00", "2026-10-27 00:00+00:00"]),
        ("America/New_York", ["2026-10-30 09:30-04:00", "2026-11-02 09:30-05:00", "2026-11-03 16:00:01-05:00"]),
        ("America/Sao_Paulo", ["2026-11-03 22:00-03:00", "2026-11-04 23:00-03:00", "2026-11-06 18:05-03:00"]),
    ],
)
def test_a_row_of_a_day_begins_at_midnight_whenever_yahoo_says(zone: str, local: list[str]) -> None:
    table = {datetime.fromisoformat(text): flat(10, 5) for text in local}
    window = ChartWindow(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 10, tzinfo=UTC))

    chart = parsed(body(table, dataGranularity="1d", exchangeTimezoneName=zone), window, resolution="1d")

    days = [datetime.fromisoformat(text) for text in local]
    expected = [(each + (2 * HOUR if each.hour >= 22 else timedelta())).date() for each in days]
    midnights = [
        start.astimezone(datetime.fromisoformat(text).tzinfo) for start, text in zip(starts(chart), local, strict=True)
    ]
    assert [each.date() for each in midnights] == expected
    assert all((each.hour, each.minute) == (0, 0) for each in midnights)


def test_two_rows_of_one_day_at_a_change_of_the_clock_are_one_bar() -> None:
    table = [
        (datetime.fromisoformat("2026-10-25 23:00+00:00"), flat(10, 900)),
        (datetime.fromisoformat("2026-10-26 00:00+00:00"), flat(11, 5)),
    ]
    window = ChartWindow(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 10, tzinfo=UTC))

    chart = parsed(body(table, dataGranularity="1d", exchangeTimezoneName="Europe/London"), window, resolution="1d")

    assert [(bar.start, bar.volume) for bar in chart.bars] == [(datetime(2026, 10, 26, tzinfo=UTC), 900)]


def test_the_hour_that_the_clock_repeats_has_two_bars() -> None:
    start = datetime(2026, 11, 1, 4, tzinfo=UTC)
    table = rows(start, 4, HOUR)  # 0:00, 1:00 in summer, 1:00 in winter, and 2:00 in New York
    window = ChartWindow(start, start + 4 * HOUR, ((start, start + 4 * HOUR),))

    chart = parsed(body(table, dataGranularity="1h"), window, resolution="1h")

    assert starts(chart) == list(table)
    assert chart.complete_to == window.end


# How far the answer says everything


def test_an_answer_that_ends_early_is_complete_up_to_its_last_row() -> None:
    chart = parsed(body(rows(OPEN, 100)))
    assert (len(chart.bars), chart.complete_to) == (100, OPEN + 100 * MINUTE)


def test_an_answer_without_its_last_days_is_complete_up_to_its_last_row() -> None:
    window = WINDOW._replace(end=MIDNIGHT + 3 * DAY)
    chart = parsed(body({**rows(OPEN, 390), CLOSE: flat(10)}), window)

    assert chart.complete_to == CLOSE + MINUTE
    table = {OPEN - DAY: flat(10, 1), OPEN: flat(10, 1)}
    daily = parsed(body(table, dataGranularity="1d"), window._replace(start=MIDNIGHT - 2 * DAY), LATER, resolution="1d")
    assert daily.complete_to == MIDNIGHT + DAY


def test_a_symbol_that_trades_rarely_has_no_trade_at_the_end() -> None:
    table = {OPEN + timedelta(minutes=minute): flat(10, 1) for minute in (0, 40, 45, 150, 300)}
    assert parsed(body(table)).complete_to == WINDOW.end  # 90 minutes at the end, and 150 before


@pytest.mark.parametrize("count", [1_440, 1_200], ids=["whole", "cut"])
def test_a_day_around_the_clock_is_whole_only_with_its_last_hours(count: int) -> None:
    """Of a coin, every minute is traded. An answer that ends four hours before midnight was cut."""
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    window = ChartWindow(midnight, midnight + DAY, ((midnight, midnight + DAY),))
    chart = parsed(body(rows(midnight, count)), window)
    assert (len(chart.bars), chart.complete_to) == (count, midnight + count * MINUTE)


def test_weekends_and_nights_are_no_gaps() -> None:
    window = WINDOW._replace(end=MIDNIGHT + 4 * DAY)
    table = {**rows(OPEN, 390), **rows(OPEN + DAY, 390), **rows(OPEN + 2 * DAY, 100)}
    assert parsed(body(table), window).complete_to == OPEN + 2 * DAY + 100 * MINUTE


def test_a_session_that_goes_on_is_complete_up_to_its_last_finished_bar() -> None:
    now = OPEN + 2 * HOUR
    chart = parsed(body(rows(OPEN, 119), regularMarketTime=int((now - MINUTE).timestamp())), fetched_at=now)
    assert (len(chart.bars), chart.complete_to) == (119, OPEN + 119 * MINUTE)


def test_in_a_session_that_goes_on_the_last_half_hour_may_still_bring_trades() -> None:
    table = {OPEN: flat(10, 1), OPEN + 20 * MINUTE: flat(10, 1)}
    chart = parsed(body(table, regularMarketTime=None), fetched_at=OPEN + HOUR)
    assert (len(chart.bars), chart.complete_to) == (2, OPEN + HOUR / 2)


def test_an_answer_without_rows_says_nothing_while_the_symbol_is_traded() -> None:
    assert parsed(body({})).complete_to == WINDOW.start
    assert parsed(body({}, regularMarketTime=int(CLOSE.timestamp()))).complete_to == WINDOW.start


def test_an_answer_without_rows_is_complete_if_nothing_was_traded_since() -> None:
    before = int((MIDNIGHT - DAY).timestamp())
    assert parsed(body({}, regularMarketTime=before)).complete_to == WINDOW.end
    weekend = ChartWindow(MIDNIGHT + 5 * DAY, MIDNIGHT + 7 * DAY, tuple(DAYS))
    assert parsed(body({}), weekend, weekend.end + DAY).complete_to == weekend.end


def test_without_sessions_an_answer_is_whole() -> None:
    assert parsed(body(rows(OPEN, 3)), WINDOW._replace(sessions=())).complete_to == WINDOW.end


def declared(*sessions: tuple[datetime, datetime]) -> list[list[dict[str, object]]]:
    """Sessions as a chart declares them, one for each day."""
    seconds = [(int(start.timestamp()), int(end.timestamp())) for start, end in sessions]
    return [[{"timezone": "EST", "start": start, "end": end, "gmtoffset": -18_000}] for start, end in seconds]


@pytest.mark.parametrize("form", ["list", "object"])
@pytest.mark.parametrize(("count", "is_whole"), [(390, True), (380, True), (100, False)])
def test_without_sessions_those_that_the_chart_declares_say_whether_it_is_whole(
    form: str,
    count: int,
    is_whole: bool,  # noqa: FBT001
) -> None:
    periods = declared(*DAYS[:2])
    table = {**rows(OPEN, 390), **rows(OPEN + DAY, count), **rows(OPEN - HOUR, 5)}
    window = ChartWindow(MIDNIGHT, MIDNIGHT + 2 * DAY)
    whole = periods if form == "list" else {"pre": [], "regular": periods, "post": []}
    chart = parsed(body(table, tradingPeriods=whole), window)
    assert len(chart.bars) == 390 + count + 5  # the exchange may trade at other times than Yahoo says
    assert chart.complete_to == (window.end if is_whole else OPEN + DAY + count * MINUTE)


@pytest.mark.parametrize(("seconds", "is_whole"), [(30, True), (60, False), (3_600, False)])
def test_without_sessions_an_answer_up_to_the_last_trade_that_yahoo_knows_is_whole(
    seconds: int,
    is_whole: bool,  # noqa: FBT001
) -> None:
    last_trade = int(OPEN.timestamp()) + 2 * 60 + seconds
    chart = body(rows(OPEN, 3), tradingPeriods=declared(DAYS[0]), regularMarketTime=last_trade)
    window = WINDOW._replace(sessions=())
    assert parsed(chart, window).complete_to == (WINDOW.end if is_whole else OPEN + 3 * MINUTE)
    assert parsed(chart).complete_to == OPEN + 3 * MINUTE


def test_an_answer_without_rows_is_whole_if_it_declares_no_session() -> None:
    window = WINDOW._replace(sessions=())
    assert parsed(body({}, tradingPeriods=[]), window).complete_to == window.end
    assert parsed(body({}, tradingPeriods=declared(DAYS[0])), window).complete_to == window.start


@pytest.mark.parametrize("periods", [None, 1, [1], [[1]], [[{}]], [[{"start": "a"}]], [[{"start": 2**60, "end": 1}]]])
def test_sessions_that_cannot_be_read_are_none(periods: object) -> None:
    chart = parsed(body(rows(OPEN, 3), tradingPeriods=periods), WINDOW._replace(sessions=()))
    assert (len(chart.bars), chart.complete_to) == (3, WINDOW.end)


# Answers that are no charts


def failure(code: str, description: str) -> bytes:
    error = {"code": code, "description": description}
    return json.dumps({"chart": {"result": None, "error": error}}).encode()


def test_a_symbol_that_yahoo_does_not_have() -> None:
    chart = parsed(failure("Not Found", "No data found, symbol may be delisted"))

    assert (chart.bars, chart.is_known, chart.complete_to) == ((), False, WINDOW.start)
    assert chart.problems == ("Not Found: No data found, symbol may be delisted",)


def test_a_window_before_a_symbol_was_listed() -> None:
    answer = failure("Bad Request", "Data doesn't exist for startDate = 1795410000, endDate = 1795496400")

    chart = parsed(answer)
    assert (chart.bars, chart.is_known, chart.complete_to) == ((), True, WINDOW.end)
    assert parsed(answer, fetched_at=WINDOW.start).complete_to == WINDOW.start


LIMIT = "1m data not available for startTime=1 and endTime=2. The requested range must be within the last 30 days."


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "the body is not JSON"),
        (b"<!DOCTYPE html><html><body>Will be right back", "the body is not JSON"),
        (body(rows(OPEN, 390))[:5000], "the body is not JSON"),
        (b'{"chart":{"result":[],"error":null}}', "the body has no chart of AAPL"),
        (failure("Unprocessable Entity", LIMIT), "must be within the last 30 days"),
        (failure("Bad Request", "Invalid input"), "Bad Request: Invalid input"),
        (body(rows(OPEN, 1), symbol="MSFT"), "the chart is one of MSFT, not of AAPL"),
        (body(rows(OPEN, 1), dataGranularity="5m"), "the chart has bars of 5m, not of 1m"),
        (body(rows(OPEN, 1), exchangeTimezoneName="Moon/Crater"), "'Moon/Crater' is not a time zone"),
        (body(rows(OPEN, 1), exchangeTimezoneName=None), "None is not a time zone"),
        (body(rows(OPEN, 1), exchangeTimezoneName="../../etc/passwd"), "is not a time zone"),
        (
            body(rows(OPEN, 1)).replace(b'"close": [', b'"close": [1, '),
            "the column close of the chart is not one of 1 values",
        ),
        (body(rows(OPEN, 1)).replace(b'"low": [', b'"lows": ['), "the column low of the chart is not one of 1 values"),
        (body(rows(OPEN, 1)).replace(b'"quote"', b'"quotes"'), "the chart has no indicators.quote"),
    ],
)
def test_an_answer_that_is_not_this_chart_is_malformed(answer: bytes, problem: str) -> None:
    with pytest.raises(MalformedResponse) as caught:
        parsed(answer)
    assert problem in str(caught.value)


def test_a_chart_names_its_currency() -> None:
    assert parsed(body(rows(OPEN, 1), currency="GBp")).currency == "GBp"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=4), children, max_size=3),
    max_leaves=5,
)
CELL = st.none() | st.floats() | st.floats(1, 1000) | st.integers() | st.sampled_from([True, "10", [], {}])
ROW = st.tuples(st.integers(-400, 800), st.tuples(CELL, CELL, CELL, CELL, CELL))


@settings(max_examples=sized(15, 100))
@given(st.lists(ROW, max_size=6))
def test_whatever_the_rows_are_the_bars_are_in_order_and_within_the_window(table: list[tuple[int, Values]]) -> None:
    chart = parsed(body([(OPEN + minutes * MINUTE, values) for minutes, values in table]))

    assert starts(chart) == sorted(set(starts(chart)))
    assert all(WINDOW.start <= bar.start < WINDOW.end for bar in chart.bars)
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in chart.bars)
    assert WINDOW.start <= chart.complete_to <= WINDOW.end


@settings(max_examples=sized(15, 100))
@given(
    st.binary()
    | JSON.map(lambda value: json.dumps({"chart": {"result": [value]}}).encode())
    | st.dictionaries(
        st.sampled_from(["symbol", "exchangeTimezoneName", "dataGranularity", "currency", "regularMarketTime"]), JSON
    ).map(lambda meta: body(rows(OPEN, 2), **meta))
    | st.dictionaries(st.sampled_from(["timestamp", "indicators", "events", "meta"]), JSON).map(
        lambda parts: json.dumps(
            {"chart": {"result": [json.loads(body(rows(OPEN, 2)))["chart"]["result"][0] | parts]}}
        ).encode()
    )
)
def test_any_other_body_is_malformed_at_worst(answer: bytes) -> None:
    with suppress(MalformedResponse):
        parsed(answer)


@pytest.mark.parametrize(
    ("file", "symbol", "bars", "closes"),
    [
        ("yfinance-rs/history_chart_AAPL.json", "AAPL", 127, ("212.5", "269.7")),
        ("yfinance-rs/history_chart_GS2C.DE.json", "GS2C.DE", 5, ("19.738", "19.948")),
        ("node-yahoo-finance2/chart-AAPL-2020-08-31-to-2020-11-07.json", "AAPL", 49, ("129.04", "118.69")),
        ("node-yahoo-finance2/chart-WSU.DE-2023-08-04-to-2023-08-09.json", "WSU.DE", 3, ("34.45", "33.2")),
        ("node-yahoo-finance2/chart-BTC-USD-2020-01-01-to-2020-01-03.json", "BTC-USD", 3, ("7200.1743", "7344.8843")),
        ("node-yahoo-finance2/chart-EURUSD=X-2020-01-01-to-2020-01-03.json", "EURUSD=X", 3, ("1.1220826", "1.1171438")),
    ],
)
def test_recorded_charts(recordings: Path, file: str, symbol: str, bars: int, closes: tuple[str, str]) -> None:
    recorded = json.loads((recordings / "yahoo" / file).read_bytes())
    answer = json.dumps(recorded["response"]["bodyJson"] if "response" in recorded else recorded).encode()
    window = ChartWindow(datetime(2015, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))

    chart = parse_chart(answer, symbol, "1d", window, LATER)

    assert (len(chart.bars), tuple(str(chart.bars[index].close) for index in (0, -1))) == (bars, closes)
    assert chart.problems == ()
