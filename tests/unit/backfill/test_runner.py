"""A backfill stores what the source has and the table has not, once, whatever interrupts it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from backfill.chunk_file import decode_chunk
from backfill.chunks import Chunk, FinishedChunk
from backfill.errors import OtherCurrency, UnknownSymbol
from backfill.indicators import refolded
from backfill.lane_refold import LaneIsBusy
from backfill.ports import OnRow, ignored
from backfill.refold import ATTEMPTS
from backfill.summary import Summary
from bars.coverage import coverage_of
from bars.resolutions import Span
from processor_lambda.rows import Row
from quotes import Action
from tests.fakes.backfill_ports import Killed, MemoryCharts, bar_at
from tests.fakes.backfilled_market import NOBODY_KNOWS, NOW, BackfilledMarket
from tests.support.sizes import sized
from yahoo_requests.errors import SourceError

RATE_LIMITED = SourceError("rate_limited", "HTTP 429")


def test_an_empty_table_gets_every_bar_of_the_source_with_its_provenance() -> None:
    market = BackfilledMarket()
    summary = market.run()
    for symbol in ("AAPL", "MSFT"):
        assert market.prices(symbol) == market.charts.history[symbol, "1m"]
        assert market.prices(symbol, "1d") == market.charts.history[symbol, "1d"]
    row = market.bars.rows["AAPL", "1m#2026-11-16T14:30:00.000Z"]
    assert row["provenance"] == "backfill"
    assert row["source"] == "yahoo"
    assert row["quotes"] == 0
    assert row["ingest_time"] == "2026-11-28T01:10:00.000Z"
    assert row["expires_at"] == int(NOW.timestamp()) + 365 * 86_400
    assert "expires_at" not in market.bars.rows["AAPL", "1d#2026-11-16T05:00:00.000Z"]
    # Two weeks of two symbols, and the days of each for its splits.
    assert (summary.chunks, summary.requests, len(market.charts.requests)) == (4, 6, 6)
    assert summary.written == 2 * (60 + 10)


def test_a_second_run_finds_nothing_to_do() -> None:
    market = BackfilledMarket()
    market.run()
    written, rows = list(market.bars.written), dict(market.bars.rows)
    assert market.plan().requests == 0
    summary = market.run()
    assert (summary.requests, summary.written, summary.refolded) == (0, 0, 0)
    assert (market.bars.written, market.bars.rows, len(market.charts.requests)) == (written, rows, 6)


def test_only_the_gaps_are_written_and_bars_of_the_stream_stay() -> None:
    market = BackfilledMarket()
    gap = market.minutes[10:20]
    market.stream("AAPL", [each for each in market.minutes if each not in gap], price=500)
    market.stream("MSFT", market.minutes)
    market.run()
    assert {key for _, key in market.bars.written if key.startswith("1m")} == {
        f"1m#{each:%Y-%m-%dT%H:%M}:00.000Z" for each in gap
    }
    for minute, bar in zip(market.minutes, market.prices("AAPL"), strict=True):
        assert bar == bar_at(minute, 100 if minute in gap else 500)
    assert {chunk.symbol for chunk in market.charts.requests} == {"AAPL"}


def test_bars_of_a_rebuild_are_never_overwritten_and_those_of_the_stream_only_if_asked() -> None:
    market = BackfilledMarket(["AAPL"])
    market.stream("AAPL", market.minutes, price=500)
    rebuilt = "AAPL", "1m#2026-11-16T14:31:00.000Z"
    market.bars.rows[rebuilt]["provenance"] = "rebuild"
    assert market.run().written == 0
    summary = market.run(over_stream=True)
    assert summary.written == len(market.minutes) - 1 + 10
    prices = market.prices("AAPL")
    assert prices.pop(1) == bar_at(market.minutes[1], 500)
    assert all(bar == bar_at(bar.start, 100) for bar in prices)
    assert market.run(over_stream=True).requests == 0
    rows = market.bars.bars("AAPL").values()
    assert [row.get("replaces") for row in rows] == [
        "stream" if row.get("provenance") == "backfill" else None for row in rows
    ]


def test_a_correction_of_a_bar_that_replaced_one_of_the_stream_says_so_too() -> None:
    market = BackfilledMarket(["AAPL"])
    market.stream("AAPL", market.minutes, price=500)
    market.run(over_stream=True)
    corrected = bar_at(market.minutes[0], price=200)
    market.charts.history["AAPL", "1m"][0] = corrected
    market.bars.rows.pop(("AAPL", "1m#2026-11-16T14:31:00.000Z"))
    market.now += timedelta(hours=1)
    market.run(again=True)
    assert market.prices("AAPL")[0] == corrected
    first, second, *_ = market.bars.bars("AAPL").values()
    assert first["replaces"] == "stream"
    assert "replaces" not in second


def test_a_bar_that_the_stream_stores_meanwhile_stays() -> None:
    market = BackfilledMarket(["AAPL"])
    late = market.minutes[3]
    fetch = market.charts.fetch

    def fetch_and_stream(chunk: Chunk, sessions: Sequence[Span], splits: Sequence[Action]) -> FinishedChunk:
        finished = fetch(chunk, sessions, splits)
        between = market.bars.between

        def read_and_stream(symbol: str, first: str, last: str) -> list[Row]:
            rows = between(symbol, first, last)
            market.stream("AAPL", [late], price=500)
            return rows

        market.bars.between = read_and_stream  # type: ignore[method-assign]
        return finished

    market.charts.fetch = fetch_and_stream  # type: ignore[method-assign]
    market.run()
    assert market.prices("AAPL")[3] == bar_at(late, 500)


def test_minutes_without_a_trade_are_noted_by_day_and_not_asked_for_again() -> None:
    market = BackfilledMarket(["AAPL"])
    quiet = [*market.minutes[1:3], market.minutes[4], market.minutes[8]]
    history = market.charts.history["AAPL", "1m"]
    market.charts.history["AAPL", "1m"] = [bar for bar in history if bar.start not in quiet]
    assert market.run().without_trades == 4
    assert market.bars.rows["AAPL", "asked#1m#2026-11-16T05:00:00.000Z"]["without_trades"] == (
        '[["2026-11-16T14:31:00.000Z","2026-11-16T14:33:00.000Z"],["2026-11-16T14:34:00.000Z","2026-11-16T14:35:00.000Z"]]'
    )
    requests = len(market.charts.requests)
    market.run()
    assert len(market.charts.requests) == requests
    market.charts.history["AAPL", "1m"] = history
    market.run(again=True)
    assert market.prices("AAPL") == history


def test_an_answer_that_ends_early_is_asked_for_again_from_its_day_on() -> None:
    market = BackfilledMarket(["AAPL"])
    first, second = market.plan().chunks
    market.charts.ends_early[second] = market.minutes[45]
    market.run()
    assert market.prices("AAPL") == market.charts.history["AAPL", "1m"][:45]
    (missing,) = market.plan().chunks
    assert missing.start > second.start
    assert missing.end == second.end
    market.run()
    assert market.prices("AAPL") == market.charts.history["AAPL", "1m"]
    assert market.charts.requests.count(first) == 1


def test_the_first_refusal_stops_the_run_and_the_next_run_goes_on() -> None:
    market = BackfilledMarket()
    market.charts.fault = lambda _: RATE_LIMITED if len(market.charts.requests) == 3 else None
    summary = market.run()
    assert len(market.charts.requests) == 3
    assert summary.failures[-1].startswith("stopped: Yahoo refuses further requests for now")
    assert summary.failures[-1].endswith("run the same command again later: it goes on where this run stopped")
    answered = market.charts.requests[:2]
    market.charts.fault = lambda _: None
    assert market.run().failures == []
    assert all(market.charts.requests.count(chunk) == 1 for chunk in answered)
    assert market.prices("MSFT") == market.charts.history["MSFT", "1m"]


def test_a_refused_run_that_asks_again_says_that_the_next_one_begins_anew() -> None:
    market = BackfilledMarket(["AAPL"])
    market.charts.history["AAPL", "1m"] = []
    assert market.run().failures == []
    asked = list(market.charts.requests)
    market.charts.fault = lambda _: RATE_LIMITED if len(market.charts.requests) == len(asked) + 2 else None
    assert market.run(again=True).failures[-1].endswith("with --again, it asks for everything once more")
    market.charts.requests.clear()
    assert market.run().requests == 0
    assert market.run(again=True).requests == len(asked)


@pytest.mark.parametrize(("hours", "chunks"), [(1, 1), (13, 0)])
def test_an_answer_that_ends_at_the_same_time_on_another_day_is_whole(hours: int, chunks: int) -> None:
    market = BackfilledMarket(["AAPL"])
    history = market.charts.history["AAPL", "1m"]
    market.charts.history["AAPL", "1m"] = history[:57]  # nothing is traded in the last minutes of the two weeks
    second = market.plan().chunks[1]
    for early in (second, Chunk("AAPL", "1m", market.sessions[-1].opens - timedelta(hours=9, minutes=30), second.end)):
        market.charts.ends_early[early] = market.minutes[57]
    for _ in range(3):
        market.run()
        market.now += timedelta(hours=hours)
    assert len(market.plan().chunks) == chunks
    assert len([chunk for chunk in market.charts.requests if chunk.resolution == "1m"]) == 4


def test_the_minutes_of_a_symbol_that_the_source_does_not_know_are_not_asked_for() -> None:
    market = BackfilledMarket()
    market.charts.fault = lambda chunk: UnknownSymbol("no data found") if chunk.symbol == "AAPL" else None
    summary = market.run()
    assert [chunk.resolution for chunk in market.charts.requests if chunk.symbol == "AAPL"] == ["1d"]
    assert summary.problems == ["AAPL: Yahoo does not know it: no data found"]
    assert summary.failures == []
    assert market.prices("MSFT") == market.charts.history["MSFT", "1m"]


def test_nothing_of_a_symbol_in_another_currency_is_stored_or_asked_for_further() -> None:
    market = BackfilledMarket(["AAPL", "LLOY.L", "MSFT"])
    error = OtherCurrency("its history is in GBp, but its quotes are in USD")
    market.charts.fault = lambda chunk: error if chunk.symbol == "LLOY.L" else None
    summary = market.run()
    assert [chunk.resolution for chunk in market.charts.requests if chunk.symbol == "LLOY.L"] == ["1d"]
    assert summary.problems == ["LLOY.L: nothing is stored: its history is in GBp, but its quotes are in USD"]
    assert market.bars.bars("LLOY.L") == {}
    assert not any(chunk.symbol == "LLOY.L" for chunk in market.chunks.objects)
    assert market.prices("MSFT") == market.charts.history["MSFT", "1m"]


def test_the_bar_of_the_closing_auction_is_stored_though_no_session_expects_it() -> None:
    market = BackfilledMarket(["AAPL"])
    auction = bar_at(market.sessions[4].closes, volume=1_000_000)
    market.charts.history["AAPL", "1m"].insert(30, auction)
    market.run()
    assert auction in market.prices("AAPL")


def test_a_request_comes_with_the_sessions_of_its_days() -> None:
    market = BackfilledMarket(["AAPL"])
    market.run()
    first = next(each for each in market.charts.requests if each.resolution == "1m")
    assert market.charts.sessions[first] == [(each.opens, each.closes) for each in market.sessions[:5]]


def test_a_chunk_that_fails_is_reported_and_the_others_are_filled() -> None:
    market = BackfilledMarket()
    error = SourceError("malformed", "the body is not JSON")
    market.charts.fault = lambda chunk: error if chunk.symbol == "AAPL" and chunk.resolution == "1m" else None
    summary = market.run()
    assert len(summary.failures) == 2
    assert summary.failures[0] == "AAPL from 2026-11-16: malformed: the body is not JSON"
    assert market.prices("MSFT") == market.charts.history["MSFT", "1m"]


def test_a_symbol_whose_splits_are_not_known_is_left_out() -> None:
    market = BackfilledMarket()
    error = SourceError("malformed", "the body is not JSON")
    market.charts.fault = lambda chunk: error if (chunk.symbol, chunk.resolution) == ("AAPL", "1d") else None
    summary = market.run()
    assert len(summary.failures) == 1
    assert [chunk.symbol for chunk in market.charts.requests].count("AAPL") == 1
    assert market.prices("MSFT") == market.charts.history["MSFT", "1m"]


def test_a_correction_of_the_source_stays_when_an_older_answer_is_stored_again() -> None:
    market = BackfilledMarket(["AAPL"])
    market.run()
    corrected = bar_at(market.minutes[0], price=200)
    market.charts.history["AAPL", "1m"][0] = corrected
    market.bars.rows.pop(("AAPL", "1m#2026-11-16T14:31:00.000Z"))
    market.now += timedelta(hours=1)
    market.run(again=True)
    assert market.prices("AAPL")[0] == corrected
    older = BackfilledMarket(["AAPL"])
    older.run()
    market.chunks.objects |= older.chunks.objects
    market.bars.rows.pop(("AAPL", "1m#2026-11-16T14:31:00.000Z"))
    assert market.run().written == 1
    assert market.prices("AAPL")[0] == corrected


def test_splits_shortly_before_a_gap_are_known_too() -> None:
    market = BackfilledMarket(["AAPL"])
    market.stream("AAPL", market.minutes[:-1])
    market.run()
    daily, minutes = market.charts.requests
    assert minutes.start - daily.start == timedelta(days=14)


def test_several_failures_in_a_row_stop_the_run() -> None:
    market = BackfilledMarket([f"S{number}" for number in range(9)])
    market.charts.fault = lambda _: SourceError("timeout", "no answer")
    summary = market.run()
    assert len(market.charts.requests) == 3
    assert "Yahoo gave no usable answer for 3 symbols in a row" in summary.failures[-1]


def test_splits_up_to_now_are_known_before_minutes_are_asked_for() -> None:
    market = BackfilledMarket(["AAPL"])
    split = Action(
        symbol="AAPL",
        action="split",
        event_time=market.sessions[6].opens,
        source="yahoo",
        ingest_time=NOW,
        numerator=4,
        denominator=1,
    )
    market.charts.actions["AAPL"] = [split]
    market.run()
    assert [chunk.resolution for chunk in market.charts.requests] == ["1d", "1m", "1m"]
    assert market.charts.splits == [(), (split,), (split,)]
    ((symbol, (known,)),) = market.live.refolds
    assert (symbol, known.new, known.old, known.time) == ("AAPL", 4, 1, split.event_time)
    daily = decode_chunk(market.chunks.objects[market.charts.requests[0]], "")
    assert list(daily.actions) == [split]


class DividingCharts(MemoryCharts):
    """Divides the prices before a split as soon as it is declared. A chart declares only the splits of its days."""

    def __init__(self, market: BackfilledMarket, split: Action, declared_at: int) -> None:
        """The request with the number `declared_at`, from 1 on, is the first one whose answer knows of the split."""
        super().__init__(lambda: market.now + timedelta(seconds=len(self.requests)), market.process)
        self.history = market.charts.history
        self._split, self._declared_at = split, declared_at

    def fetch(self, chunk: Chunk, sessions: Sequence[Span], splits: Sequence[Action]) -> FinishedChunk:
        finished = super().fetch(chunk, sessions, splits)
        is_declared = len(self.requests) >= self._declared_at
        declared = [self._split] if is_declared and chunk.start <= self._split.event_time < chunk.end else []
        is_divided, is_undone = is_declared, self._split in [*splits, *declared]
        ratio = Decimal(4) ** (is_undone - is_divided)
        bars = tuple(
            replace(bar, **{name: getattr(bar, name) * ratio for name in ("open", "high", "low", "close")})
            if bar.start < self._split.event_time
            else bar
            for bar in finished.bars
        )
        return replace(finished, bars=bars, actions=declared)


@settings(max_examples=sized(20, 200), deadline=None)
@given(
    st.sampled_from(["1m", "5m", "1h"]),
    st.integers(5, 9),
    st.none() | st.integers(1, 6),
    st.integers(1, 8),
)
@example("1m", 7, 2, 1)  # between two runs
@example("1m", 7, None, 2)  # between the request for splits and the one for the first week
def test_prices_are_those_of_their_day_whenever_a_split_is_declared(
    resolution: str, session: int, refused: int | None, later: int
) -> None:
    """Before the first run, between two runs, or at any request of the last one that a later answer still shows."""
    market = BackfilledMarket()
    for symbol in market.symbols:
        market.charts.history[symbol, resolution] = market.charts.history[symbol, "1m"]
    split = Action(
        symbol="AAPL",
        action="split",
        event_time=market.sessions[session].opens,
        source="yahoo",
        ingest_time=NOW,
        numerator=4,
        denominator=1,
    )
    charts = DividingCharts(market, split, later + (refused or 0))
    market.charts = charts
    if refused is not None:
        charts.fault = lambda _: RATE_LIMITED if len(charts.requests) == refused else None
        market.run(resolution=resolution)
        charts.fault = lambda _: None
    summary = market.run(resolution=resolution)
    assert summary.failures == []
    for symbol in market.symbols:
        assert market.prices(symbol, resolution) == charts.history[symbol, resolution]


def test_splits_are_asked_for_once_for_each_symbol_in_each_run() -> None:
    market = BackfilledMarket()
    market.run()
    market.bars.rows.clear()
    market.chunks.objects = {chunk: each for chunk, each in market.chunks.objects.items() if chunk.resolution == "1d"}
    plan = market.plan()
    market.charts.requests.clear()
    summary = market.run()
    assert sorted(chunk.symbol for chunk in market.charts.requests if chunk.resolution == "1d") == ["AAPL", "MSFT"]
    assert plan.requests == summary.requests == len(market.charts.requests) == 6


def test_a_damaged_object_of_the_archive_is_asked_for_again() -> None:
    market = BackfilledMarket(["AAPL"])
    market.run()
    chunk = next(each for each in market.chunks.objects if each.resolution == "1m")
    market.chunks.objects[chunk] = b"damaged"
    market.bars.rows.pop(("AAPL", "1m#2026-11-16T14:31:00.000Z"))
    summary = market.run()
    assert (summary.chunks, summary.requests) == (1, 2)
    assert market.prices("AAPL") == market.charts.history["AAPL", "1m"]


def test_bars_that_were_lost_come_back_from_the_archive_without_a_request() -> None:
    market = BackfilledMarket(["AAPL"])
    market.run()
    market.bars.rows.pop(("AAPL", "1m#2026-11-16T14:31:00.000Z"))
    summary = market.run()
    assert (summary.requests, summary.from_archive, summary.written) == (0, 1, 1)
    assert market.prices("AAPL") == market.charts.history["AAPL", "1m"]


@pytest.mark.parametrize("resolution", ["5m", "1h", "1d"])
def test_coarser_bars_are_stored_under_their_resolution(resolution: str) -> None:
    market = BackfilledMarket(["AAPL"])
    if resolution != "1d":
        starts = [each.opens for each in market.sessions]
        market.charts.history["AAPL", resolution] = [bar_at(each) for each in starts]
    market.run(resolution=resolution)
    assert market.prices("AAPL", resolution) == market.charts.history["AAPL", resolution]
    assert market.live.refolds == []
    requests = len(market.charts.requests)
    market.run(resolution=resolution)
    assert len(market.charts.requests) == requests


def test_the_indicators_are_those_of_an_undisturbed_market() -> None:
    undisturbed, market = BackfilledMarket(["AAPL"], minutes=20), BackfilledMarket(["AAPL"], minutes=20)
    undisturbed.run()
    gap = market.minutes[60:70]
    market.stream("AAPL", [each for each in market.minutes if each not in gap])
    market.run()
    assert len(market.live.refolds) == 1
    names = ("sma_50", "ema_26", "rsi_14", "macd_signal", "return_mean", "volume_mean")
    first = gap[0].strftime("1m#%Y-%m-%dT%H:%M")
    expected, found = undisturbed.bars.bars("AAPL"), market.bars.bars("AAPL")
    later = [key for key in expected if key >= first]
    assert [[found[key].get(name) for name in names] for key in later] == [
        [expected[key].get(name) for name in names] for key in later
    ]
    assert all("sma_5" not in row for key, row in found.items() if key < first)
    assert isinstance(found[later[-1]]["sma_50"], Decimal)


def test_each_bar_is_written_once_and_only_later_ones_of_the_stream_get_other_indicators() -> None:
    market = BackfilledMarket(["AAPL"], minutes=20)
    gap = market.minutes[120:150]
    market.stream("AAPL", [each for each in market.minutes if each not in gap])
    plan = market.plan()
    assert (plan.rows, plan.recomputed) == (len(gap) + 10, len(market.minutes) - 150)
    summary = market.run()
    assert (summary.written, summary.written_days, summary.refolded) == (plan.rows, 10, plan.recomputed)
    empty = BackfilledMarket(["AAPL"], minutes=20)
    summary = empty.run()
    assert (summary.written, summary.refolded) == (len(empty.minutes) + 10, 0)
    assert refolded([*empty.bars.bars("AAPL").values()], empty.minutes[0], []) == []


def test_the_progress_of_a_run_ends_with_the_plan_whatever_the_source_has() -> None:
    market = BackfilledMarket()
    market.stream("AAPL", market.minutes[30:])
    market.charts.history["MSFT", "1m"] = market.charts.history["MSFT", "1m"][::2]
    market.charts.history["AAPL", "1m"].insert(30, bar_at(market.sessions[4].closes))
    plan, done = market.plan(), list[int]()
    market.run(on_progress=done.append)
    assert sum(done) == plan.rows + plan.recomputed
    assert done.count(1) > len(done) / 2


def test_the_counts_of_a_run_that_ends_with_an_error_have_what_was_written() -> None:
    market = BackfilledMarket(["AAPL"])
    summary = Summary(resolution="1m")
    market.process.kill_before = market.process.calls + 30
    with pytest.raises(Killed):
        market.run(summary=summary)
    assert summary.written == len(market.bars.written) > 10


def test_a_lane_that_is_busy_is_tried_again_by_the_next_run() -> None:
    market = BackfilledMarket(["AAPL"])
    market.live.error = LaneIsBusy("lane-01-of-04", "AAPL")
    summary = market.run()
    assert summary.failures == [str(market.live.error)]
    market.live.error = None
    summary = market.run()
    assert (summary.requests, summary.lanes, summary.failures) == (0, 1, [])


@pytest.mark.parametrize("times", [1, ATTEMPTS])
def test_indicators_that_are_computed_while_a_bar_changes_are_computed_again(times: int) -> None:
    market = BackfilledMarket(["AAPL"], minutes=20)
    market.stream("AAPL", market.minutes[40:])
    put = market.bars.put_unless_changed
    changed = iter(market.minutes[50 : 50 + times])

    def change_and_put(rows: Sequence[Row], on_row: OnRow = ignored) -> int:
        if (minute := next(changed, None)) is not None:
            market.stream("AAPL", [minute], price=500)
        return put(rows, on_row)

    market.bars.put_unless_changed = change_and_put  # type: ignore[method-assign]
    summary = market.run()
    assert [failure.startswith("other commands changed the bars of AAPL") for failure in summary.failures] == (
        [True] if times == ATTEMPTS else []
    )
    market.run()
    rows = [*market.bars.bars("AAPL").values()]
    assert refolded(rows, market.minutes[0], []) == []
    assert market.run().refolded == 0


KILLS = sized(8, 25)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_is_killed_at_any_call_and_run_again_asks_for_no_chunk_twice_and_writes_no_bar_twice(
    when: str,
) -> None:
    undisturbed = disturbed_market()
    undisturbed.run()
    calls = undisturbed.process.calls
    expected = undisturbed.history()
    step = max(1, calls // KILLS)
    offset = random.Random(when).randrange(step)
    for number in range(1 + offset, calls + 1, step):
        market = disturbed_market()
        setattr(market.process, f"kill_{when}", number)
        with pytest.raises(Killed):
            market.run()
        archived = set(market.chunks.objects)
        asked = list(market.charts.requests)
        market.run()
        assert market.history() == expected
        assert len(set(market.bars.written)) == len(market.bars.written)
        # An answer that the process took with it is the only one to be asked for again.
        lost = [chunk for chunk in asked if chunk not in archived]
        assert len(lost) <= 1
        assert repeated_chunks(market) == {chunk for chunk in lost if chunk.resolution == "1m"}
        assert market.plan().requests == 0


def repeated_chunks(market: BackfilledMarket) -> set[Chunk]:
    """The chunks of minutes that two runs asked for twice. Each run asks once for the days with a symbol's splits."""
    counts = Counter(market.charts.requests)
    assert all(count <= 2 for chunk, count in counts.items() if chunk.resolution == "1d")
    return {chunk for chunk, count in counts.items() if count > 1 and chunk.resolution != "1d"}


def unknown_market() -> BackfilledMarket:
    """A symbol of an exchange that no calendar knows."""
    market = BackfilledMarket(["AAPL"])
    market.symbols = {"AAPL": NOBODY_KNOWS}
    market.charts.history["AAPL", "1d"] = []
    return market


def test_each_day_of_an_exchange_that_no_calendar_knows_is_asked_for_once_whatever_its_hours_are() -> None:
    market = unknown_market()
    first = datetime(2026, 11, 16, tzinfo=UTC)
    for number in range(1, 13):
        market.now = first + timedelta(days=number, hours=1, minutes=10)
        market.run()
    minutes = [chunk for chunk in market.charts.requests if chunk.resolution == "1m"]
    days = [first + timedelta(days=number) for number in range(12)]
    assert [(chunk.start, chunk.end) for chunk in minutes] == [(day, day + timedelta(days=1)) for day in days]
    assert all(market.charts.sessions[chunk] == [] for chunk in minutes)
    assert market.prices("AAPL") == market.charts.history["AAPL", "1m"]
    assert market.plan().requests == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_is_killed_asks_for_no_day_of_such_an_exchange_twice(when: str) -> None:
    undisturbed = unknown_market()
    undisturbed.run()
    step = max(1, undisturbed.process.calls // KILLS)
    for number in range(1, undisturbed.process.calls + 1, step):
        market = unknown_market()
        setattr(market.process, f"kill_{when}", number)
        with pytest.raises(Killed):
            market.run()
        lost = {chunk for chunk in market.charts.requests if chunk not in market.chunks.objects}
        market.run()
        assert market.history() == undisturbed.history()
        assert repeated_chunks(market) == {chunk for chunk in lost if chunk.resolution == "1m"}
        assert market.plan().requests == 0


def disturbed_market() -> BackfilledMarket:
    """Streamed minutes with holes, and minutes without a trade."""
    market = BackfilledMarket()
    market.stream("AAPL", [each for each in market.minutes if each.minute % 4], price=500)
    history = market.charts.history["MSFT", "1m"]
    market.charts.history["MSFT", "1m"] = [bar for bar in history if bar.start.minute % 5]
    return market


@settings(max_examples=sized(8, 45))
@given(
    st.sets(st.integers(0, 59), max_size=30),
    st.sets(st.integers(0, 59), max_size=30),
    st.lists(st.integers(1, 200), max_size=3),
)
def test_whatever_is_missing_the_table_ends_with_the_bars_of_the_stream_and_else_of_the_source(
    holes: set[int], quiet: set[int], kills: list[int]
) -> None:
    market = BackfilledMarket(["AAPL"])
    minutes = market.minutes
    streamed = [minute for number, minute in enumerate(minutes) if number not in holes]
    traded = [minute for number, minute in enumerate(minutes) if number not in quiet]
    market.stream("AAPL", streamed, price=500)
    market.charts.history["AAPL", "1m"] = [bar_at(minute) for minute in traded]
    for kill in kills:
        market.process.calls, market.process.kill_before = 0, kill
        try:
            market.run()
        except Killed:
            continue
    market.process.kill_before = None
    market.run()
    expected: dict[datetime, object] = {minute: bar_at(minute) for minute in traded}
    expected |= {minute: bar_at(minute, 500) for minute in streamed}
    if not holes:
        expected = {minute: bar_at(minute, 500) for minute in streamed}
    found = {bar.start: bar for bar in market.prices("AAPL")}
    assert found == expected
    spans = [(each.opens, each.closes) for each in market.sessions]
    assert coverage_of(spans, found).stored == len(expected)
    assert len(set(market.bars.written)) == len(market.bars.written)
    assert market.plan().requests == 0
