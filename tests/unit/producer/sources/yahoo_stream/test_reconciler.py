"""Gaps, polls and `complete_to` of the streamed source, by a clock that the tests move."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from producer_service.sources import ConnectionReport, Failure, FetchResult
from producer_service.sources.yahoo_stream.gaps import SILENT_SECONDS, STALLED_SECONDS
from producer_service.sources.yahoo_stream.reconciler import (
    ASK_SECONDS,
    GAP_POLL_SECONDS,
    QUIET_SECONDS,
    Moment,
    Reconciler,
)
from producer_service.sources.yahoo_stream.trades import Trade
from quotes import Quote
from tests.support.quotes import OPEN

ALLOWANCE = timedelta(seconds=10)
LOST = Failure("connection", "closed", ("AAPL",))
POLL_SECONDS = 60.0


def moment(
    seconds: float,
    *,
    is_due: bool = True,
    due: tuple[str, ...] = ("AAPL",),
    is_trading: bool = True,
    all_trade: bool = True,
) -> Moment:
    at = OPEN + timedelta(milliseconds=round(1000 * seconds))
    return Moment(at, 1_000 + seconds, due if is_due else (), is_trading, all_trade)


def trade(second: float, price: int = 100) -> Trade:
    at = moment(second).at
    return Trade(symbol="AAPL", time=at, price=Decimal(price), session="REGULAR", received=at)


def poll_result(seconds: float, event_second: float | None = None, price: int = 100) -> FetchResult:
    """What a poll brings that began `seconds` after the open, with a trade of a second."""
    at = moment(seconds).at
    quote = Quote(
        symbol="AAPL",
        event_time=moment(int(seconds if event_second is None else event_second)).at,
        price=Decimal(price),
        source="yahoo",
        ingest_time=at,
        market_state="REGULAR",
    )
    return FetchResult(quotes=(quote,), complete_to=at - ALLOWANCE)


FAILED = FetchResult(failures=(Failure("server_error", "HTTP 503", ("AAPL",)),))


class Bench:
    """A reconciler whose results are kept. It has polled once, and is connected, at second 0."""

    def __init__(self, symbols: Sequence[str] = ("AAPL",)) -> None:
        self.reconciler = Reconciler(
            symbols, extended_hours=False, poll_seconds=POLL_SECONDS, started=moment(-1).uptime
        )
        assert self.reconciler.takes_poll(moment(-1))
        self.poll(-1)
        self.reconciler.opened(moment(0))
        assert self.takes_poll(5)
        self.poll(5, event_second=-1)

    def takes_poll(self, seconds: float) -> bool:
        return self.reconciler.takes_poll(moment(seconds))

    def poll(self, seconds: float, result: FetchResult | None = None, **options: float) -> FetchResult:
        at = moment(seconds)
        result = poll_result(seconds, **options) if result is None else result  # type: ignore[arg-type]
        return self.reconciler.polled(at, result, moment(seconds + 0.1))

    def stream(self, *trades: Trade, seconds: float) -> FetchResult | None:
        at = moment(seconds)
        return self.reconciler.received(trades, 0, at, at=at.at)

    def lose(self, seconds: float, *, is_refused: bool = False, is_due: bool = True) -> FetchResult:
        return self.reconciler.lost(LOST, moment(seconds, is_due=is_due), is_refused=is_refused)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def report(result: FetchResult | None) -> ConnectionReport:
    assert result is not None
    assert result.connection is not None
    return result.connection


def complete_to(result: FetchResult | None) -> float | None:
    """How far a result is complete, in seconds after the open."""
    assert result is not None
    return None if result.complete_to is None else (result.complete_to - OPEN).total_seconds()


def test_a_lost_connection_is_a_declared_gap_since_the_last_message(bench: Bench) -> None:
    bench.stream(trade(20), seconds=20.5)

    lost = bench.lose(25)

    assert lost.failures == (LOST,)
    assert (report(lost).gaps, report(lost).connected_since) == (("disconnected",), None)
    assert report(lost).gap_since == moment(20.5).at


@pytest.mark.parametrize(("is_refused", "reason"), [(True, "refused"), (False, "disconnected")])
def test_a_gap_is_counted_once_however_many_attempts_fail(bench: Bench, reason: str, *, is_refused: bool) -> None:
    counts = [report(bench.lose(second, is_refused=is_refused)).gaps for second in (20, 21, 25)]

    assert counts == [(reason,), (), ()]


def test_a_gap_is_filled_by_a_complete_poll_after_the_connection_is_back(bench: Bench) -> None:
    bench.lose(20)
    assert bench.takes_poll(20)
    assert report(bench.poll(20)).gap_since is not None, "it began before the connection was back"
    bench.reconciler.opened(moment(22))
    assert not bench.takes_poll(22), "too soon after the other poll"
    assert bench.takes_poll(20 + ASK_SECONDS)
    assert report(bench.poll(25, FAILED)).gap_since is not None
    filled = report(bench.poll(35))

    assert (filled.gap_since, filled.connected_since) == (None, moment(22).at)
    assert report(bench.reconciler.quiet(moment(60))).reconnects == 0, "counted with the first result after it"


def test_the_result_of_a_poll_says_when_it_began(bench: Bench) -> None:
    assert bench.poll(20).asked_at == moment(20).at
    assert (pushed := bench.reconciler.quiet(moment(50))) is not None
    assert pushed.asked_at is None


def test_reconnects_are_counted_without_the_first_connection(bench: Bench) -> None:
    bench.lose(20)
    bench.reconciler.opened(moment(21))

    assert report(bench.poll(21)).reconnects == 1


def test_polls_follow_each_other_faster_in_a_gap(bench: Bench) -> None:
    assert not bench.takes_poll(5 + GAP_POLL_SECONDS)
    bench.lose(30)
    assert bench.takes_poll(30)
    bench.poll(30)
    assert not bench.takes_poll(30 + GAP_POLL_SECONDS - 1)
    assert bench.takes_poll(30 + GAP_POLL_SECONDS)


def test_polls_reconcile_at_the_interval_while_a_poll_is_worth_it(bench: Bench) -> None:
    assert not bench.takes_poll(5 + POLL_SECONDS - 1)
    assert not bench.reconciler.takes_poll(moment(5 + POLL_SECONDS, is_due=False))
    assert bench.takes_poll(5 + POLL_SECONDS)


def test_a_trade_after_a_long_pause_is_left_to_a_poll_at_once(bench: Bench) -> None:
    assert bench.stream(trade(2 * 3_600), seconds=12) is None

    assert bench.takes_poll(12)


def test_complete_to_advances_with_the_stream(bench: Bench) -> None:
    assert complete_to(bench.stream(trade(20), seconds=20.5)) == 20.5 - 10
    assert complete_to(bench.reconciler.quiet(moment(20.5 + QUIET_SECONDS))) == 20.5 + QUIET_SECONDS - 10


def test_complete_to_stands_still_while_a_trade_is_left_to_a_poll() -> None:
    bench = Bench(["AAPL", "MSFT"])
    bench.stream(replace(trade(12), symbol="MSFT"), seconds=12)
    assert bench.takes_poll(12)
    bench.poll(12, FAILED)
    assert complete_to(bench.stream(trade(13), seconds=13)) is None
    assert bench.takes_poll(12 + GAP_POLL_SECONDS), "it is still to be brought"
    brought = poll_result(22, event_second=14)
    quotes = [replace(brought.quotes[0], symbol="MSFT", event_time=moment(second).at) for second in (-1, 12)]
    bench.poll(22, replace(brought, quotes=(quotes[0],), complete_to=moment(12).at))
    assert complete_to(bench.stream(trade(23), seconds=23)) is None, "Yahoo's cache answered"

    bench.poll(22, replace(brought, quotes=(quotes[1],), complete_to=moment(12).at))

    assert complete_to(bench.stream(trade(24), seconds=24)) == 24 - 10


def test_a_trade_that_no_poll_brings_holds_complete_to_until_a_poll_is_complete_to_it() -> None:
    bench = Bench(["AAPL", "MSFT"])
    bench.stream(replace(trade(12), symbol="MSFT"), seconds=12)
    bench.poll(22, event_second=13)
    assert complete_to(bench.stream(trade(23), seconds=23)) is None

    bench.poll(23, event_second=13)

    assert complete_to(bench.stream(trade(24), seconds=24)) == 24 - 10


def test_complete_to_stands_still_until_a_poll_has_asked_for_all_symbols_that_are_due(bench: Bench) -> None:
    more = moment(20, due=("AAPL", "VOD.L"))
    assert complete_to(bench.reconciler.quiet(more)) is None
    assert bench.reconciler.takes_poll(more)
    delayed = FetchResult(complete_to=more.at - timedelta(minutes=15))

    polled = bench.reconciler.polled(more, delayed, moment(21))

    assert polled.asked == ("AAPL", "VOD.L")
    bench.stream(trade(30), seconds=30)
    assert complete_to(bench.reconciler.quiet(moment(41, due=more.due))) == 41 - 900


def test_complete_to_stands_still_in_a_gap_unless_a_poll_advances_it(bench: Bench) -> None:
    bench.lose(20)
    assert bench.reconciler.quiet(moment(31)) is None, "polls deliver instead"
    assert complete_to(bench.reconciler.quiet(moment(31, is_due=False))) is None
    assert complete_to(bench.poll(31)) == 31 - 10
    assert complete_to(bench.poll(32, FAILED)) is None

    bench.reconciler.opened(moment(40))
    assert complete_to(bench.stream(trade(41), seconds=41.5)) is None, "the gap is not filled yet"
    bench.poll(42)
    assert complete_to(bench.stream(trade(43), seconds=43.5)) == 43.5 - 10


def test_complete_to_is_left_to_polls_while_a_session_settles(bench: Bench) -> None:
    assert complete_to(bench.reconciler.quiet(moment(30, all_trade=False))) is None
    assert complete_to(bench.reconciler.quiet(moment(50, is_trading=False))) is None


def test_a_connection_that_misses_what_a_poll_brings_has_stalled(bench: Bench) -> None:
    bench.stream(trade(6), seconds=6)
    bench.poll(25, event_second=24)
    assert bench.reconciler.stalls(moment(6 + STALLED_SECONDS - 1)) is None

    stalled = bench.reconciler.stalls(moment(6 + STALLED_SECONDS))

    assert stalled is not None
    assert stalled.failures[0].reason == "timeout"
    assert (report(stalled).gaps, report(stalled).gap_since) == (("stalled",), moment(6).at)
    assert bench.takes_poll(6 + STALLED_SECONDS)


def test_a_silent_connection_advances_complete_to_for_seconds_only(bench: Bench) -> None:
    bench.stream(trade(6), seconds=6)
    assert complete_to(bench.reconciler.quiet(moment(35))) == 35 - 10
    assert complete_to(bench.reconciler.quiet(moment(45))) is None
    assert complete_to(bench.poll(66, event_second=6)) == 66 - 10
    assert complete_to(bench.reconciler.quiet(moment(80))) is None
    assert complete_to(bench.stream(trade(81), seconds=81)) == 81 - 10


def test_another_connection_that_is_as_silent_has_stalled_as_soon(bench: Bench) -> None:
    bench.stream(trade(6), seconds=6)
    bench.poll(25, event_second=24)
    assert bench.reconciler.stalls(moment(6 + STALLED_SECONDS)) is not None
    bench.poll(36, event_second=36)
    bench.reconciler.opened(moment(40))
    assert report(bench.poll(45, event_second=39)).gap_since is None
    assert bench.reconciler.stalls(moment(40 + STALLED_SECONDS)) is None, "the trade is older than the connection"

    bench.poll(75, event_second=74)

    assert bench.reconciler.stalls(moment(76)) is not None


def test_a_quiet_market_is_no_stall(bench: Bench) -> None:
    bench.stream(trade(6), seconds=6)
    bench.poll(65, event_second=6)

    assert bench.reconciler.stalls(moment(6 + SILENT_SECONDS - 1)) is None


def test_a_connection_that_closed_silently_after_20_minutes_is_noticed_without_polls(bench: Bench) -> None:
    for minute in range(1, 21):
        bench.stream(trade(60 * minute), seconds=60 * minute)
        assert bench.reconciler.stalls(moment(60 * minute + 59)) is None
    assert bench.reconciler.stalls(moment(20 * 60 + SILENT_SECONDS)) is not None


def test_a_market_that_stays_silent_is_asked_ever_more_seldom(bench: Bench) -> None:
    at = 0.0
    bench.stream(trade(1), seconds=1)
    waits = []
    for _ in range(3):
        start = at
        while bench.reconciler.stalls(moment(at := at + 10)) is None:
            pass
        waits.append(at - start)
        bench.reconciler.opened(moment(at))
    assert waits == [SILENT_SECONDS + 10, 2 * SILENT_SECONDS, 4 * SILENT_SECONDS]


def test_nothing_stalls_while_exchanges_are_closed(bench: Bench) -> None:
    assert bench.reconciler.stalls(moment(10_000, is_trading=False)) is None


def test_a_connection_that_ends_while_no_price_is_to_be_expected_leaves_no_gap(bench: Bench) -> None:
    assert report(bench.lose(20, is_due=False)).gaps == ()


def test_garbage_is_counted_and_is_no_sign_of_life(bench: Bench) -> None:
    bench.poll(20, event_second=19)
    assert bench.reconciler.received([], 3, moment(30), at=moment(30).at) is None

    counted = report(bench.stream(trade(31), seconds=31.25))

    assert (counted.messages, counted.garbage, counted.lags) == (4, 3, (0.0,))
    assert report(bench.reconciler.quiet(moment(50))).messages == 0
