from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer_service.sources.replay.bars import MAX_MISTAKES, MINUTE, Bar, Moment, moments, parse_bars
from producer_service.sources.replay.clock import DEFAULT_CLOCK, Clock
from producer_service.sources.replay.recordings import load
from tests.support.sizes import sized

HEADER = "datetime,open,high,low,close,volume\n"


NAME = "AAPL_1min.csv"
NEW_YORK = DEFAULT_CLOCK.zone
UTC_START = Clock(ZoneInfo("UTC"), "start")


def parse(*rows: str, header: str = HEADER, clock: Clock = DEFAULT_CLOCK) -> tuple[list[Bar], list[str]]:
    return parse_bars(io.StringIO(header + "".join(f"{row}\n" for row in rows)), NAME, clock)


def bar(start: datetime, prices: str = "10 12 9 11", volume: int = 100) -> Bar:
    open_, high, low, close = map(Decimal, prices.split())
    return Bar(start, open_, high, low, close, volume)


def refold(some: Iterable[Moment]) -> list[Bar]:
    """The minute bars of some moments, as a consumer of quotes computes them."""
    minutes: dict[datetime, list[Moment]] = defaultdict(list)
    for moment in some:
        minutes[moment.event_time.replace(second=0, microsecond=0)].append(moment)
    folded, volume, day = [], 0, None
    for start, inside in minutes.items():
        if start.astimezone(NEW_YORK).date() != day:
            day, volume = start.astimezone(NEW_YORK).date(), 0
        prices = [moment.price for moment in inside]
        traded = inside[-1].volume - volume
        volume = inside[-1].volume
        folded.append(Bar(start, prices[0], max(prices), min(prices), prices[-1], traded))
    return folded


def test_reads_rows_of_any_order_by_the_end_of_their_minute() -> None:
    bars, mistakes = parse(
        "2019-02-15 16:00:00,170.23,170.42,170.21,170.38,427888", "2019-02-15 09:31:00,1,2,0.5,1.5,7"
    )

    assert mistakes == []
    assert bars == [
        bar(datetime(2019, 2, 15, 14, 30, tzinfo=UTC), "1 2 0.5 1.5", 7),
        bar(datetime(2019, 2, 15, 20, 59, tzinfo=UTC), "170.23 170.42 170.21 170.38", 427888),
    ]


def test_reads_rows_by_the_start_of_their_minute_in_another_zone() -> None:
    """A file as ccxt and Alpaca write it."""
    bars, mistakes = parse("2021-08-10 08:00:00,1,1,1,1,1", "2021-08-10 08:01:00,1,2,1,2,5", clock=UTC_START)

    assert mistakes == []
    assert [(each.start, each.volume) for each in bars] == [
        (datetime(2021, 8, 10, 8, 0, tzinfo=UTC), 1),
        (datetime(2021, 8, 10, 8, 1, tzinfo=UTC), 5),
    ]


@pytest.mark.parametrize(
    ("end", "start"),
    [
        ("2026-03-06 09:31:00", datetime(2026, 3, 6, 14, 30, tzinfo=UTC)),
        ("2026-03-09 09:31:00", datetime(2026, 3, 9, 13, 30, tzinfo=UTC)),
        ("2026-03-08 03:00:00", datetime(2026, 3, 8, 6, 59, tzinfo=UTC)),
        ("2026-11-02 09:31", datetime(2026, 11, 2, 14, 30, tzinfo=UTC)),
    ],
    ids=["winter", "summer", "the minute before clocks change", "winter again"],
)
def test_reads_the_clock_of_new_york(end: str, start: datetime) -> None:
    bars, _ = parse(f"{end},1,1,1,1,1")

    assert [bar.start for bar in bars] == [start]


def test_takes_columns_by_name() -> None:
    found = parse("7,2019-02-15 16:00:00,x,11,9,10,12", "", header="volume, datetime,note,close,low,open,high\n")

    assert found == ([bar(datetime(2019, 2, 15, 20, 59, tzinfo=UTC), "10 12 9 11", 7)], [])


def test_two_rows_for_one_minute_are_a_mistake() -> None:
    _, mistakes = parse(
        "2019-02-15 16:00:00,1,1,1,1,1",
        "2019-02-15 15:59:00,1,1,1,1,1",
        "2019-02-15 16:00:00,2,2,2,2,2",
        "2019-02-15T21:59:00+01:00,1,1,1,1,1",
    )

    assert mistakes == [
        f"{NAME}:4: datetime: line 2 is for the same minute, 2019-02-15T20:59Z",
        f"{NAME}:5: datetime: line 3 is for the same minute, 2019-02-15T20:58Z",
    ]


def long_night(zone: ZoneInfo, first: datetime, minutes: int) -> list[str]:
    """A row for each minute, stamped at its start on the clock of a zone, without an offset."""
    times = (first + number * MINUTE for number in range(minutes))
    return [f"{time.astimezone(zone):%Y-%m-%d %H:%M:%S},1,1,1,1,{number}" for number, time in enumerate(times)]


@pytest.mark.parametrize("stamp", ["start", "end"])
@pytest.mark.parametrize("order", [1, -1], ids=["oldest first", "newest first"])
def test_a_night_of_25_hours_is_read_whole(stamp: Literal["start", "end"], order: int) -> None:
    first = datetime(2021, 11, 7, 4, 0, tzinfo=UTC)  # midnight in New York, whose clock is set back at 6:00 UTC
    rows = long_night(NEW_YORK, first, 240)[::order]

    bars, mistakes = parse(*rows, clock=Clock(NEW_YORK, stamp))

    assert mistakes == []
    shift = MINUTE if stamp == "end" else timedelta()
    assert [each.start for each in bars] == [first + number * MINUTE - shift for number in range(240)]
    assert [each.volume for each in bars] == list(range(240))


def test_a_time_that_the_clock_shows_twice_is_a_mistake_where_the_order_does_not_tell() -> None:
    _, mistakes = parse(
        "2021-11-07 00:59:00,1,1,1,1,1", "2021-11-07 01:30:00,1,1,1,1,1", "2021-11-07 02:30:00,1,1,1,1,1"
    )

    (mistake,) = mistakes
    assert mistake == (
        f"{NAME}:3: datetime: the clock of America/New_York shows 2021-11-07 01:30 twice, and the order of the rows "
        "does not say which it is: write 2021-11-07 01:30:00-04:00 or 2021-11-07 01:30:00-05:00"
    )


def test_a_time_that_the_clock_skips_is_a_mistake() -> None:
    _, mistakes = parse("2021-03-14 02:30:00,1,1,1,1,1", "2021-03-14 03:30:00,1,1,1,1,1")

    assert mistakes == [
        f"{NAME}:2: datetime '2021-03-14 02:30:00' does not exist in America/New_York, whose clock skips it"
    ]


def test_reports_every_mistake_with_its_line() -> None:
    _, mistakes = parse(
        "2019-02-15 16:00:00,1,1,1,1,1",
        "2019-02-15 15:59:30,1,1,1,1,1",
        "2019-02-15,1,1,1,1,1",
        "2019-02-15 15:57:00,nan,1e99,1,1,-1",
        "0001-01-01 00:00:00,1,1,1,1,1",
        "2019-02-15 15:55:00,1",
    )

    assert [mistake.removeprefix(f"{NAME}:").split("; ") for mistake in mistakes] == [
        ["3: datetime '2019-02-15 15:59:30' is not on a whole minute"],
        ["4: datetime '2019-02-15' is not a time like 2019-02-15 16:00:00, 2019-02-15T21:00:00Z or 1550264400"],
        [
            "5: open nan is not finite",
            "high 1e99 is not below 1000000000000",
            "volume '-1' is not between 0 and 2**63 - 1",
        ],
        ["6: datetime '0001-01-01 00:00:00' is not between 1971 and 2199"],
        ["7: high, low, close, volume missing"],
    ]


@pytest.mark.parametrize(
    ("volume", "found"),
    [
        ("427888.0", 427888),
        ("1e15", 10**15),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", "volume '9223372036854775808' is not between 0 and 2**63 - 1"),
        ("1e999999", "volume '1e999999' is not between 0 and 2**63 - 1"),
        ("12.5", "volume '12.5' is not a whole number; count in a smaller unit, such as thousandths"),
        ("1e-999999", "volume '1e-999999' is not a whole number; count in a smaller unit, such as thousandths"),
        ("inf", "volume 'inf' is not a number"),
        ("many", "volume 'many' is not a number"),
    ],
)
def test_a_volume_is_a_count_or_refused_for_the_true_reason(volume: str, found: int | str) -> None:
    bars, mistakes = parse(f"2019-02-15 16:00:00,1,1,1,1,{volume}")

    if isinstance(found, int):
        assert (bars[0].volume, mistakes) == (found, [])
    else:
        assert mistakes == [f"{NAME}:2: {found}"]


@pytest.mark.parametrize(
    ("prices", "problems"),
    [
        ("170.2,170.4,0,170.3", ["low 0"]),
        ("170.2,170.4,-1,170.3", ["low -1"]),
        ("170.2,-1.0,-1.0,170.3", ["high -1", "low -1"]),
        ("0,0,0,7.26", ["open 0", "high 0", "low 0"]),
        ("-1,-1,-1,-1", ["open -1", "high -1", "low -1", "close -1"]),
    ],
)
def test_zero_and_minus_one_stand_for_no_price(prices: str, problems: list[str]) -> None:
    _, mistakes = parse(f"2019-02-15 16:00:00,{prices},0")

    reason = "is not a price: files write 0 or -1 where there was none; leave the row out"
    assert mistakes == [f"{NAME}:2: " + "; ".join(f"{problem} {reason}" for problem in problems)]


@pytest.mark.parametrize("prices", ["-37.63 -30 -40.32 -37.63", "0.01 0.05 -1.43 -1", "-0.5 0 -0.5 -0.25"])
def test_a_price_may_be_negative(prices: str) -> None:
    bars, mistakes = parse(f"2020-04-20 14:30:00,{prices.replace(' ', ',')},100")

    assert (bars, mistakes) == ([bar(datetime(2020, 4, 20, 18, 29, tzinfo=UTC), prices)], [])


def test_tiny_prices_are_exact_and_a_price_with_too_many_places_is_refused() -> None:
    bars, mistakes = parse(
        "2019-02-15 15:00:00,1.2e-09,1.2345e-9,0.0000000012,1.23e-9,1",
        f"2019-02-15 16:00:00,1e-26,1e-27,{'1' * 12},{'1' * 13},1",
    )

    assert [(each.open, each.high, each.low, each.close) for each in bars] == [
        (Decimal("1.2e-9"), Decimal("1.2345e-9"), Decimal("1.2e-9"), Decimal("1.23e-9"))
    ]
    assert mistakes == [
        f"{NAME}:3: high 1e-27 has more than 26 decimal places; close 1111111111111 is not below 1000000000000"
    ]


def test_counts_the_mistakes_beyond_the_first() -> None:
    _, mistakes = parse(*["never,1,1,1,1,1"] * (MAX_MISTAKES + 5))

    assert len(mistakes) == MAX_MISTAKES + 1
    assert mistakes[-1] == f"{NAME}: and 5 more mistakes"


def test_names_the_columns_that_are_absent() -> None:
    assert parse(header="datetime,open,high,low,Close\n") == ([], [f"{NAME}:1: there is no column close, volume"])


def test_an_empty_file_has_no_columns() -> None:
    assert parse(header="")[1] == [f"{NAME}:1: there is no column datetime, open, high, low, close, volume"]


def test_an_endless_field_is_a_mistake() -> None:
    _, mistakes = parse('2019-02-15 16:00:00,"' + "1" * 200_000)

    assert mistakes == [f"{NAME}:2: is not CSV: field larger than field limit (131072)"]


def test_a_bar_is_its_open_low_high_and_close() -> None:
    start = datetime(2019, 2, 15, 14, 30, tzinfo=UTC)
    ten, twelve, nine, eleven = (Decimal(number) for number in (10, 12, 9, 11))

    assert list(moments([bar(start)], NEW_YORK)) == [
        Moment(start, ten, ten, ten, ten, None, 0),
        Moment(start + timedelta(seconds=20), nine, ten, ten, nine, None, 0),
        Moment(start + timedelta(seconds=40), twelve, ten, twelve, nine, None, 0),
        Moment(start + timedelta(seconds=59, milliseconds=999), eleven, ten, twelve, nine, None, 100),
    ]


def test_a_day_is_that_of_new_york_and_starts_again() -> None:
    evening = datetime(2019, 2, 15, 23, 59, tzinfo=UTC)  # 18:59 in New York
    late = datetime(2019, 2, 16, 0, 0, tzinfo=UTC)  # 19:00, the same day
    monday = datetime(2019, 2, 18, 14, 30, tzinfo=UTC)

    closes = list(moments([bar(evening), bar(late, "20 21 19 20"), bar(monday, "5 6 4 5.5", 3)], NEW_YORK))[3::4]

    assert [(str(at.open), str(at.high), str(at.low), at.volume) for at in closes] == [
        ("10", "12", "9", 100),
        ("10", "21", "9", 200),
        ("5", "6", "4", 3),
    ]
    assert [at.previous_close for at in closes] == [None, None, Decimal(20)]


def test_a_day_is_that_of_the_configured_zone() -> None:
    bars = [bar(datetime(2019, 2, 15, hour, 59, tzinfo=UTC)) for hour in (14, 15)]  # 23:59 and 0:59 in Tokyo

    closes = list(moments(bars, ZoneInfo("Asia/Tokyo")))[3::4]

    assert [(at.volume, at.previous_close) for at in closes] == [(100, None), (100, Decimal(11))]


amounts = st.decimals(1, 1000, places=4)


@st.composite
def days_of_bars(draw: st.DrawFn) -> list[Bar]:
    starts = draw(st.lists(st.integers(0, 3 * 24 * 60), unique=True, max_size=20))
    first = datetime(2026, 3, 7, tzinfo=UTC)  # clocks change on the 8th
    made = []
    for start in sorted(starts):
        low, one, other, high = sorted(draw(st.tuples(amounts, amounts, amounts, amounts)))
        open_, close = draw(st.permutations([one, other]))
        made.append(Bar(first + start * MINUTE, open_, high, low, close, draw(st.integers(0, 10**6))))
    return made


@settings(max_examples=sized(20, 100))
@given(days_of_bars())
def test_folding_the_quotes_of_bars_gives_the_bars_again(bars: list[Bar]) -> None:
    assert refold(moments(bars, NEW_YORK)) == bars


def stamped(start: datetime, clock: Clock, form: str) -> str:
    """The time of a bar as a file may write it."""
    time = start + (MINUTE if clock.stamp == "end" else timedelta())
    match form:
        case "seconds":
            return f"{time.timestamp():.0f}"
        case "milliseconds":
            return f"{time.timestamp() * 1000:.0f}"
        case "naive":
            return f"{time.astimezone(clock.zone):%Y-%m-%d %H:%M:%S}"
        case "UTC":
            return f"{time:%Y-%m-%dT%H:%M:%SZ}"
    return time.astimezone(ZoneInfo(form)).isoformat()


@settings(max_examples=sized(12, 200))
@given(
    bars=days_of_bars(),
    clock=st.builds(
        Clock,
        st.sampled_from(["America/New_York", "UTC", "Asia/Kolkata", "Pacific/Chatham"]).map(ZoneInfo),
        st.sampled_from(["start", "end"]),
    ),
    forms=st.lists(
        st.sampled_from(["naive", "UTC", "seconds", "milliseconds", "Asia/Tokyo", "America/St_Johns"]),
        min_size=1,
        max_size=3,
    ),
)
def test_bars_are_the_same_however_a_file_writes_their_times(bars: list[Bar], clock: Clock, forms: list[str]) -> None:
    rows = [
        f"{stamped(each.start, clock, form)},{each.open},{each.high},{each.low},{each.close},{each.volume}"
        for each, form in zip(bars, cycle(forms), strict=False)
    ]

    assert parse(*rows, clock=clock) == (bars, [])


SET_BACK = {
    "America/New_York": datetime(2025, 11, 2, 6, 0, tzinfo=UTC),
    "Europe/London": datetime(2025, 10, 26, 1, 0, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2025, 4, 5, 15, 0, tzinfo=UTC),  # by half an hour
    "America/Havana": datetime(2025, 11, 2, 5, 0, tzinfo=UTC),  # to midnight
}


@settings(max_examples=sized(20, 200))
@given(
    name=st.sampled_from(list(SET_BACK)),
    minutes=st.sets(st.integers(-90, 90), min_size=1, max_size=MAX_MISTAKES),
    order=st.sampled_from([1, -1]),
)
def test_no_row_of_a_night_on_which_the_clock_goes_back_is_lost_or_moved(
    name: str, minutes: set[int], order: int
) -> None:
    zone = ZoneInfo(name)
    starts = [SET_BACK[name] + minute * MINUTE for minute in sorted(minutes)]
    rows = [f"{start.astimezone(zone):%Y-%m-%d %H:%M},1,1,1,1,{number}" for number, start in enumerate(starts)]

    bars, mistakes = parse(*rows[::order], clock=Clock(zone, "start"))

    assert all(each.start == starts[each.volume] for each in bars)
    assert len(bars) + len(mistakes) == len(starts)
    assert {number for number, start in enumerate(starts) if not is_shown_twice(start, zone)} <= {
        each.volume for each in bars
    }


def is_shown_twice(time: datetime, zone: ZoneInfo) -> bool:
    local = time.astimezone(zone)
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


def test_folding_the_quotes_of_real_bars_gives_the_bars_again(recordings: Path) -> None:
    files = sorted((recordings / "minute/eqker").glob("*_1min.csv"))
    assert len(files) == 24
    for file in files[:: sized(8, 1)]:
        recorded = load(file)
        assert recorded.mistakes == []
        (recording,) = recorded.by_symbol.values()
        assert len({each.start.date() for each in recording.bars}) == 5
        assert refold(moments(recording.bars, NEW_YORK)) == recording.bars
