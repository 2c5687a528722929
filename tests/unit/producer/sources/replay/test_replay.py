from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer_service.errors import ConfigurationError
from producer_service.sources import FetchResult
from producer_service.sources.replay.clock import Clock
from producer_service.sources.replay.source import MAX_QUOTES, ReplaySource
from quotes import Quote, encode
from tests.support.sizes import FULL, sized

NOW = datetime(2026, 11, 23, 15, 0, 0, 123456, tzinfo=UTC)
FIRST = datetime(2019, 2, 14, 14, 30, tzinfo=UTC)
HEADER = "datetime,open,high,low,close,volume\n"


def quote(symbol: str, event_time: datetime, price: str = "171.62", **fields: object) -> Quote:
    made = {"source": "yahoo", "ingest_time": event_time, "volume": 5, "currency": "USD", **fields}
    return Quote(symbol=symbol, event_time=event_time, price=Decimal(price), **made)  # type: ignore[arg-type]


@pytest.fixture
def two_symbols(tmp_path: Path) -> Path:
    """Bars of AAPL at 9:30 and 9:32, of SPY at 9:30, and a quote of MSFT at 9:30:20."""
    (tmp_path / "AAPL_1min.csv").write_text(
        HEADER + "2019-02-14 09:33:00,5,6,4,5,20\n2019-02-14 09:31:00,1,2,0.5,1,10\n"
    )
    (tmp_path / "SPY_1min.csv").write_text(HEADER + "2019-02-14 09:31:00,100,101,99,100,7\n")
    (tmp_path / "archive.jsonl").write_bytes(
        encode([quote("MSFT", FIRST + timedelta(seconds=20), revision=3, market_state="REGULAR")])
    )
    return tmp_path


def play(source: ReplaySource, symbols: Sequence[str], *, bound: int = 1000) -> list[FetchResult]:
    results = []
    for _ in range(bound):
        results.append(source.fetch(symbols, NOW))
        if results[-1].ended:
            return results
    raise AssertionError("it never ended")


def test_serves_every_symbol_it_finds(two_symbols: Path) -> None:
    assert ReplaySource(two_symbols).symbols == ("AAPL", "MSFT", "SPY")
    assert ReplaySource(two_symbols, symbols=["SPY"]).symbols == ("SPY",)


def test_merges_symbols_by_time_and_then_by_name(two_symbols: Path) -> None:
    source = ReplaySource(two_symbols)

    result = source.fetch(source.symbols, NOW)

    assert [((each.event_time - FIRST).total_seconds(), each.symbol, str(each.price)) for each in result.quotes] == [
        (0, "AAPL", "1"),
        (0, "SPY", "100"),
        (20, "AAPL", "0.5"),
        (20, "MSFT", "171.62"),
        (20, "SPY", "99"),
        (40, "AAPL", "2"),
        (40, "SPY", "101"),
        (59.999, "AAPL", "1"),
        (59.999, "SPY", "100"),
        (120, "AAPL", "5"),
        (140, "AAPL", "4"),
        (160, "AAPL", "6"),
        (179.999, "AAPL", "5"),
    ]


def test_archived_quotes_keep_their_content(two_symbols: Path) -> None:
    source = ReplaySource(two_symbols)

    (played,) = source.fetch(["MSFT"], NOW).quotes

    received = NOW.replace(microsecond=123000)
    assert played == quote(
        "MSFT", FIRST + timedelta(seconds=20), market_state="REGULAR", source="replay", ingest_time=received
    )


def test_ends_when_the_last_minute_does_and_stays_there(two_symbols: Path) -> None:
    source = ReplaySource(two_symbols)

    for _ in range(2):
        result = source.fetch(["AAPL", "MSFT", "SPY"], NOW)
        assert result.ended
        assert not result.more
        assert result.complete_to == FIRST + timedelta(minutes=3)
    assert result.quotes == ()


def test_symbols_that_are_not_recorded_are_missing(two_symbols: Path) -> None:
    result = ReplaySource(two_symbols).fetch(["IBM"], NOW)

    assert result == FetchResult(missing=("IBM",), ended=True)


def test_watch_groups_do_not_take_each_others_quotes(two_symbols: Path) -> None:
    source = ReplaySource(two_symbols)

    assert [len(source.fetch(group, NOW).quotes) for group in (["AAPL"], ["SPY"], ["AAPL", "SPY"])] == [8, 4, 12]


def test_at_speed_plays_what_is_due(two_symbols: Path) -> None:
    source = ReplaySource(two_symbols, speed=60)

    def after(seconds: float) -> FetchResult:
        return source.fetch(source.symbols, NOW + timedelta(seconds=seconds))

    at_once = after(0)
    assert [each.symbol for each in at_once.quotes] == ["AAPL", "SPY"]
    assert at_once.complete_to == FIRST
    second = after(1)
    assert len(second.quotes) == 7
    assert second.complete_to == FIRST + timedelta(minutes=1)
    assert not second.more
    nothing_traded = after(1.5)
    assert nothing_traded.quotes == ()
    assert nothing_traded.complete_to == FIRST + timedelta(minutes=1.5)
    assert after(0.5).quotes == ()  # the clock was set back
    assert len(after(2.9).quotes) == 3
    end = after(3)
    assert [each.price for each in end.quotes] == [5]
    assert end.ended
    assert end.complete_to == FIRST + timedelta(minutes=3)


def test_a_quote_of_the_future_is_rejected_and_complete_to_stays_in_bounds(tmp_path: Path) -> None:
    future = NOW.replace(microsecond=0) + timedelta(hours=1)
    (tmp_path / "a.jsonl").write_bytes(encode([quote("AAPL", FIRST), quote("AAPL", future)]))
    source = ReplaySource(tmp_path)

    result = source.fetch(["AAPL"], NOW)

    assert [each.event_time for each in result.quotes] == [FIRST]
    assert [rejected.symbol for rejected in result.rejected] == ["AAPL"]
    assert result.complete_to == NOW.replace(microsecond=123000) + timedelta(seconds=60)


def test_many_quotes_come_in_bounded_fetches(tmp_path: Path) -> None:
    times = [FIRST + timedelta(seconds=number // 3) for number in range(2 * MAX_QUOTES + 1)]
    (tmp_path / "a.jsonl").write_bytes(encode(quote("ABC"[number % 3], time) for number, time in enumerate(times)))
    source = ReplaySource(tmp_path)

    results = play(source, source.symbols)

    assert [len(result.quotes) for result in results] == [MAX_QUOTES, MAX_QUOTES, 1]
    assert [(result.more, result.ended) for result in results] == [(True, False), (True, False), (False, True)]


def test_reports_every_mistake(tmp_path: Path) -> None:
    (tmp_path / "SPY_1min.csv").write_text(HEADER + "soon,1,1,1,1,1\n2019-02-14 09:31:00,1,1,1,x,1\n")

    with pytest.raises(ConfigurationError) as raised:
        ReplaySource(tmp_path, speed=-1)

    assert raised.value.mistakes == [
        (
            f"{tmp_path}/SPY_1min.csv:2: datetime 'soon' is not a time like 2019-02-15 16:00:00, "
            "2019-02-15T21:00:00Z or 1550264400"
        ),
        f"{tmp_path}/SPY_1min.csv:3: close x is not a number",
        "-1 is not a speed; it is a multiple of real time, or 0",
    ]


def test_the_clock_of_bars_is_a_setting(tmp_path: Path) -> None:
    (tmp_path / "SPY_1min.csv").write_text(HEADER + "2019-02-14 14:30:00,1,1,1,1,5\n2019-02-15 00:00:00,2,2,2,2,7\n")

    source = ReplaySource(tmp_path, clock=Clock(ZoneInfo("UTC"), "start"))

    assert [
        (each.event_time, each.volume, each.previous_close) for each in source.fetch(source.symbols, NOW).quotes[3::4]
    ] == [
        (FIRST + timedelta(seconds=59.999), 5, None),
        (datetime(2019, 2, 15, 0, 0, 59, 999000, tzinfo=UTC), 7, 1),
    ]


def test_counts_the_lines_it_skipped(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(encode([quote("AAPL", FIRST)]) + b"noise\n")

    assert ReplaySource(tmp_path).skipped_lines == 1


def test_a_recording_that_has_been_through_windows_plays(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(encode([quote("AAPL", FIRST), quote("MSFT", FIRST)]).replace(b"\n", b"\r\n"))

    source = ReplaySource(tmp_path)

    assert source.skipped_lines == 0
    assert [played.symbol for played in source.fetch(["AAPL", "MSFT"], NOW).quotes] == ["AAPL", "MSFT"]


@given(
    times=st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 50)), min_size=1, max_size=60),
    speed=st.sampled_from([0, 1, 7]),
    steps=st.lists(st.floats(0, 20), max_size=10),
    bound=st.integers(1, 5),
)
def test_nothing_comes_after_it_was_declared_complete(
    tmp_path_factory: pytest.TempPathFactory,
    times: list[tuple[str, int]],
    speed: float,
    steps: list[float],
    bound: int,
) -> None:
    path = tmp_path_factory.mktemp("recordings") / "a.jsonl"
    recorded = [quote(symbol, FIRST + timedelta(seconds=second)) for symbol, second in times]
    path.write_bytes(encode(recorded))
    source = ReplaySource(path, speed=speed)
    now, played, complete_to = NOW, list[Quote](), FIRST
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("producer_service.sources.replay.source.MAX_QUOTES", bound)
        for step in [*steps, *[1000.0] * len(recorded)]:
            result = source.fetch(source.symbols, now)
            now += timedelta(seconds=step)
            assert all(each.event_time >= complete_to for each in result.quotes)
            assert result.complete_to is not None
            assert result.complete_to >= complete_to
            played += result.quotes
            complete_to = result.complete_to
            assert result.more <= (not result.ended)

    assert result.ended
    assert complete_to > max(each.event_time for each in played)
    order = [(each.event_time, each.symbol) for each in played]
    assert order == sorted((each.event_time, each.symbol) for each in recorded)


def test_real_bars_play_to_their_end(recordings: Path) -> None:
    folder = recordings / "minute/eqker"
    source = ReplaySource(folder, symbols=() if FULL else ("AAPL", "SPY"))

    results = play(source, source.symbols)

    assert len(source.symbols) == sized(2, 24)
    bars = sized(1948 + 1950, 43164)
    assert sum(len(result.quotes) for result in results) == 4 * bars
    assert not any(result.rejected or result.missing or result.failures for result in results)
    assert results[-1].complete_to == datetime(2019, 2, 15, 21, 0, tzinfo=UTC)
    spy = [each for result in results for each in result.quotes if each.symbol == "SPY"]
    assert spy[0].previous_close is None
    assert spy[-1].previous_close is not None
    assert all(one.event_time < other.event_time for one, other in pairwise(spy))
