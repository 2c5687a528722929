from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer_service.sources.replay.bars import MAX_MISTAKES, MINUTE, NEW_YORK, Bar, Moment, moments, read_bars
from tests.support.sizes import sized

HEADER = "datetime,open,high,low,close,volume\n"


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "AAPL_1min.csv"
    path.write_text(header + "".join(f"{row}\n" for row in rows))
    return path


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


def test_reads_rows_of_any_order_by_the_end_of_their_minute(tmp_path: Path) -> None:
    path = write(
        tmp_path, "2019-02-15 16:00:00,170.23,170.42,170.21,170.38,427888", "2019-02-15 09:31:00,1,2,0.5,1.5,7"
    )

    bars, mistakes = read_bars(path)

    assert mistakes == []
    assert bars == [
        bar(datetime(2019, 2, 15, 14, 30, tzinfo=UTC), "1 2 0.5 1.5", 7),
        bar(datetime(2019, 2, 15, 20, 59, tzinfo=UTC), "170.23 170.42 170.21 170.38", 427888),
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
def test_reads_the_clock_of_new_york(tmp_path: Path, end: str, start: datetime) -> None:
    bars, _ = read_bars(write(tmp_path, f"{end},1,1,1,1,1"))

    assert [bar.start for bar in bars] == [start]


def test_takes_columns_by_name(tmp_path: Path) -> None:
    path = write(
        tmp_path, "7,2019-02-15 16:00:00,x,11,9,10,12", "", header="\ufeffvolume, datetime,note,close,low,open,high\n"
    )

    assert read_bars(path) == ([bar(datetime(2019, 2, 15, 20, 59, tzinfo=UTC), "10 12 9 11", 7)], [])


def test_the_later_row_of_a_minute_counts(tmp_path: Path) -> None:
    path = write(tmp_path, "2019-02-15 16:00:00,1,1,1,1,1", "2019-02-15 16:00:00,2,2,2,2,2")

    bars, _ = read_bars(path)

    assert [each.close for each in bars] == [2]


def test_reports_every_mistake_with_its_line(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "2019-02-15 16:00:00,1,1,1,1,1",
        "2019-02-15 15:59:30,1,1,1,1,1",
        "2019-02-15,1,1,1,1,1",
        "2019-02-15 15:58:00+00:00,1,1,1,1,1",
        "2019-02-15 15:57:00,nan,1e99,1,1,-1",
        "2019-02-15 15:56:00,1,1,1,1,1.5",
        "0001-01-01 00:00:00,1,1,1,1,1",
        "2019-02-15 15:55:00,1",
    )

    assert read_bars(path)[1] == [
        f"{path}:3: datetime '2019-02-15 15:59:30' is not the end of a minute like 2019-02-15 16:00:00",
        f"{path}:4: datetime '2019-02-15' is not the end of a minute like 2019-02-15 16:00:00",
        f"{path}:5: datetime '2019-02-15 15:58:00+00:00' is not the end of a minute like 2019-02-15 16:00:00",
        f"{path}:6: open 'nan' is not a price; high '1e99' is not a price; volume '-1' is not a count",
        f"{path}:7: volume '1.5' is not a count",
        f"{path}:8: datetime '0001-01-01 00:00:00' is not between 1971 and 2199",
        f"{path}:9: high '' is not a price; low '' is not a price; close '' is not a price; volume '' is not a count",
    ]


def test_counts_the_mistakes_beyond_the_first(tmp_path: Path) -> None:
    path = write(tmp_path, *["never,1,1,1,1,1"] * (MAX_MISTAKES + 5))

    mistakes = read_bars(path)[1]

    assert len(mistakes) == MAX_MISTAKES + 1
    assert mistakes[-1] == f"{path}: and 5 more mistakes"


def test_names_the_columns_that_are_absent(tmp_path: Path) -> None:
    path = write(tmp_path, header="datetime,open,high,low,Close\n")

    assert read_bars(path) == ([], [f"{path}:1: there is no column close, volume"])


def test_an_empty_file_has_no_columns(tmp_path: Path) -> None:
    path = write(tmp_path, header="")

    assert read_bars(path)[1] == [f"{path}:1: there is no column datetime, open, high, low, close, volume"]


def test_bytes_that_are_no_text_are_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "AAPL_1min.csv"
    path.write_bytes(HEADER.encode() + b"\xff\xfe\x80\n")

    assert read_bars(path)[1][0].startswith(f"{path}: is not a CSV file in UTF-8")


def test_a_bar_is_its_open_low_high_and_close() -> None:
    start = datetime(2019, 2, 15, 14, 30, tzinfo=UTC)
    ten, twelve, nine, eleven = (Decimal(number) for number in (10, 12, 9, 11))

    assert list(moments([bar(start)])) == [
        Moment(start, ten, ten, ten, ten, None, 0),
        Moment(start + timedelta(seconds=20), nine, ten, ten, nine, None, 0),
        Moment(start + timedelta(seconds=40), twelve, ten, twelve, nine, None, 0),
        Moment(start + timedelta(seconds=59, milliseconds=999), eleven, ten, twelve, nine, None, 100),
    ]


def test_a_day_is_that_of_new_york_and_starts_again() -> None:
    evening = datetime(2019, 2, 15, 23, 59, tzinfo=UTC)  # 18:59 in New York
    late = datetime(2019, 2, 16, 0, 0, tzinfo=UTC)  # 19:00, the same day
    monday = datetime(2019, 2, 18, 14, 30, tzinfo=UTC)

    closes = list(moments([bar(evening), bar(late, "20 21 19 20"), bar(monday, "5 6 4 5.5", 3)]))[3::4]

    assert [(str(at.open), str(at.high), str(at.low), at.volume) for at in closes] == [
        ("10", "12", "9", 100),
        ("10", "21", "9", 200),
        ("5", "6", "4", 3),
    ]
    assert [at.previous_close for at in closes] == [None, None, Decimal(20)]


amounts = st.decimals(-5, 1000, places=4)


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


@settings(max_examples=sized(40, 100))
@given(days_of_bars())
def test_folding_the_quotes_of_bars_gives_the_bars_again(bars: list[Bar]) -> None:
    assert refold(moments(bars)) == bars


def test_folding_the_quotes_of_real_bars_gives_the_bars_again(recordings: Path) -> None:
    files = sorted((recordings / "minute/eqker").glob("*_1min.csv"))
    assert len(files) == 24
    for file in files[:: sized(8, 1)]:
        bars, mistakes = read_bars(file)
        assert mistakes == []
        assert len({each.start.date() for each in bars}) == 5
        assert refold(moments(bars)) == bars
