"""No symbol that can be filled starves behind others that cannot, and a source that is out of order is left alone."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.chunks import Chunk
from backfill.errors import Forgotten
from backfill.planner import Plan
from tests.fakes.backfilled_market import BackfilledMarket
from tests.support.sizes import sized
from yahoo_requests.breaker import BreakerPolicy
from yahoo_requests.errors import FailureReason, SourceError

THRESHOLD = BreakerPolicy().failure_threshold
KINDS = ("good", "malformed", "malformed minutes", "malformed first week", "fails sometimes")
REASONS: tuple[FailureReason, ...] = ("malformed", "server_error", "timeout")


def can_be_filled(kind: str, chunk: Chunk, chunks: list[Chunk]) -> bool:
    match kind:
        case "malformed":
            return False
        case "malformed minutes":
            return chunk.resolution == "1d"
        case "malformed first week":
            return chunk not in chunks
        case _:
            return True


def market_of(
    kinds: Mapping[str, str], reason: FailureReason, draw: st.DataObject
) -> tuple[BackfilledMarket, Mapping[str, list[Chunk]]]:
    """Symbols of some kinds, and the first chunk of each."""
    market = BackfilledMarket(list(kinds), minutes=1)
    first: dict[str, list[Chunk]] = {}
    for chunk in market.plan().chunks:
        first.setdefault(chunk.symbol, [chunk])
    error = SourceError(reason, "no chart")

    def fault(chunk: Chunk) -> Exception | None:
        kind = kinds[chunk.symbol]
        if kind == "fails sometimes" and draw.draw(st.booleans(), "fails"):
            return error
        return None if can_be_filled(kind, chunk, first[chunk.symbol]) else error

    market.charts.fault = fault
    return market, first


@settings(max_examples=sized(25, 120), deadline=None)
@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=12), st.sampled_from(REASONS), st.data())
def test_whatever_can_be_filled_is_filled_after_some_runs(
    kinds: list[str], reason: FailureReason, data: st.DataObject
) -> None:
    named = {f"S{number:02}": kind for number, kind in enumerate(kinds)}
    market, first = market_of(named, reason, data)
    steady = {name for name, kind in named.items() if kind != "fails sometimes"}
    bad = sum(kind != "good" for kind in kinds)
    for _ in range(bad // 2 + 2):
        market.run()
        market.now = market.now.replace(minute=market.now.minute + 1)
    for name in steady:
        kind = named[name]
        history = market.charts.history[name, "1m"]
        (skipped,) = first[name]
        expected = [
            bar
            for bar in history
            if kind == "good" or (kind == "malformed first week" and not skipped.start <= bar.start < skipped.end)
        ]
        assert market.prices(name) == expected, name


@settings(max_examples=sized(25, 120), deadline=None)
@given(st.integers(1, 20), st.integers(0, 60), st.sampled_from(REASONS), st.data())
def test_a_source_that_is_out_of_order_gets_only_a_few_requests(
    symbols: int, answers: int, reason: FailureReason, data: st.DataObject
) -> None:
    """It answers so many requests, and none after that."""
    market = BackfilledMarket([f"S{number:02}" for number in range(symbols)], minutes=1)
    error = SourceError(reason, "a portal")
    market.charts.fault = lambda _: error if len(market.charts.requests) > answers else None
    each = len(market.plan().chunks) // symbols
    for _ in range(data.draw(st.integers(1, 3))):
        asked = len(market.charts.requests)
        summary = market.run()
        failed = market.charts.requests[max(asked, answers) :]
        assert len({chunk.symbol for chunk in failed}) <= THRESHOLD
        assert len(failed) <= THRESHOLD * each
        assert summary.failures[-1:] == [] or summary.failures[-1].startswith("stopped: ") == (
            len({chunk.symbol for chunk in failed}) == THRESHOLD
        )


def order_of(plan: Plan) -> list[str]:
    return list(dict.fromkeys(chunk.symbol for chunk in plan.chunks))


def test_symbols_that_failed_are_asked_for_last_and_the_earliest_failure_first() -> None:
    market = BackfilledMarket(["A", "B", "C", "D", "E"], minutes=1)
    market.charts.fault = lambda _: SourceError("malformed", "a portal")
    market.run()
    assert order_of(market.plan()) == ["D", "E", "A", "B", "C"]
    market.now = market.now.replace(minute=20)
    market.run()
    assert order_of(market.plan()) == ["B", "C", "A", "D", "E"]
    market.charts.fault = lambda chunk: None if chunk.resolution == "1d" else SourceError("rate_limited", "HTTP 429")
    market.run()
    assert order_of(market.plan()) == ["B", "C", "A", "D", "E"], "a refusal says nothing about a symbol"
    market.charts.fault = lambda _: None
    market.run()
    market.bars.rows = {key: row for key, row in market.bars.rows.items() if not key[1].startswith("1m")}
    market.chunks.objects.clear()
    assert order_of(market.plan()) == ["A", "B", "C", "D", "E"]


def test_bars_that_yahoo_no_longer_keeps_stop_nothing() -> None:
    """Yahoo forgets bars while a long run waits for its turn."""
    market = BackfilledMarket([f"S{number}" for number in range(6)], minutes=1)
    error = Forgotten("The requested range must be within the last 30 days.")
    weeks = {chunk.start for chunk in market.plan().chunks}
    market.charts.fault = lambda chunk: error if chunk.resolution == "1m" and chunk.start == min(weeks) else None
    summary = market.run()
    assert summary.failures == []
    assert summary.problems[0] == f"S0 from 2026-11-16: Yahoo no longer keeps these bars: {error}"
    assert all(len(market.prices(symbol)) == 5 for symbol in market.symbols)


@pytest.mark.parametrize("chunks", [1, 2])
def test_one_symbol_alone_never_stops_a_run(chunks: int) -> None:
    market = BackfilledMarket(["A", "B"], minutes=1)
    bad = [chunk for chunk in market.plan().chunks if chunk.symbol == "A"][:chunks]
    market.charts.fault = lambda chunk: SourceError("malformed", "a portal") if chunk in bad else None
    summary = market.run()
    assert len(summary.failures) == chunks
    assert market.prices("B") == market.charts.history["B", "1m"]
