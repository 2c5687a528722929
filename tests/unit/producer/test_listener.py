"""A pushed source, from its results to the stream, with every way in which its connection may end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from msgspec.structs import replace

from producer_service.errors import JournalError
from producer_service.journal import Journal
from producer_service.listener import GroupMarket, Listener, first_result
from producer_service.market_hours import OPEN_ALWAYS
from producer_service.packing import Row
from producer_service.sources import ConnectionReport, Failure, FetchResult, Rejected
from quotes import Quote
from tests.fakes.producer_bench import LANES, Bench, FakeSource, group
from tests.fakes.pushed_source import OPEN_END, FakePushedSource, Step
from tests.support.quotes import OPEN, make_quote
from tests.support.waiting import wait_until

PATIENCE_SECONDS = 10.0


def result(second: int, *symbols: str) -> FetchResult:
    quotes = tuple(make_quote(symbol, second) for symbol in symbols or ("AAPL",))
    return FetchResult(quotes=quotes, complete_to=OPEN + timedelta(seconds=second))


def quotes_sent(bench: Bench) -> list[Quote]:
    return [line for line in bench.sent() if isinstance(line, Quote)]


class Listening:
    """A listener over a bench, which restarts its source without a pause."""

    def __init__(self, bench: Bench, source: FakePushedSource) -> None:
        self.ended = threading.Event()
        self._bench = bench
        self._source = source
        self.listener = Listener(
            "fake",
            source,
            bench.states,
            bench.intake,
            bench.metrics,
            now=lambda: bench.now,
            stopping=bench.stopping,
            beat=bench.beat,
            jitter=lambda: 0.0,
            supervisor=bench.supervisor,
        )
        self.listener.start(self.ended.set)

    def stop(self) -> None:
        self._bench.stopping.set()
        self.listener.stop()


Listen = Callable[..., tuple[Bench, FakePushedSource, Listening]]


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Listen]:
    started: list[tuple[Bench, Listening]] = []

    def listen(*connections: list[Step], groups: tuple[str, ...] = ("us",), **options: Any) -> object:
        source = FakePushedSource(*connections)
        symbols = [("AAPL",), ("MSFT",)] if len(groups) > 1 else [("AAPL", "MSFT")]
        of_bench = [group(name, each) for name, each in zip(groups, symbols, strict=True)]
        bench = Bench(FakeSource(), tmp_path, *of_bench, **options)
        running = Listening(bench, source)
        started.append((bench, running))
        return bench, source, running

    yield listen  # type: ignore[misc]
    for bench, running in started:
        running.stop()
        bench.close()


def wait_for(event: threading.Event) -> None:
    assert event.wait(PATIENCE_SECONDS)


def test_results_are_accepted_in_their_order(listen: Listen) -> None:
    bench, source, _ = listen([result(1), result(2, "AAPL", "MSFT"), result(2), result(1), OPEN_END])
    wait_for(source.is_quiet)
    aapl = [quote.event_time for quote in quotes_sent(bench) if quote.symbol == "AAPL"]
    assert aapl == [OPEN + timedelta(seconds=second) for second in (1, 2)]
    outcomes = {name: bench.count("quotes_total", outcome=name) for name in ("accepted", "suppressed", "late")}
    assert outcomes == {"accepted": 3, "suppressed": 1, "late": 1}
    assert bench.states[0].progress.complete_to == OPEN + timedelta(seconds=1)
    assert bench.count("polls_total", outcome="complete") == 4
    assert bench.beats >= 4


@pytest.mark.parametrize(
    ("end", "reason", "detail"),
    [
        (ConnectionResetError("reset"), "connection", "ConnectionResetError: reset"),
        (TimeoutError("no answer"), "timeout", "TimeoutError: no answer"),
        (ValueError("not JSON"), "malformed", "ValueError: not JSON"),
        (None, "connection", "the source ended its connection"),
    ],
)
def test_a_source_that_raises_or_returns_is_counted_and_started_again(
    listen: Listen, end: Exception | None, reason: str, detail: str
) -> None:
    first: list[Step] = [result(1)] if end is None else [result(1), end]
    bench, source, _ = listen(first, [result(2), OPEN_END])
    wait_for(source.is_quiet)
    assert source.opened == 2
    assert [quote.event_time.second for quote in quotes_sent(bench)] == [1, 2]
    assert bench.count("source_failures_total", reason=reason) == 1
    assert bench.states[0].poll_status.failure == Failure(reason, detail, ("AAPL", "MSFT"))  # type: ignore[arg-type]
    assert bench.count("polls_total", outcome="failed") == 1


def test_a_failure_that_the_source_reports_itself_is_counted_once(listen: Listen) -> None:
    refused = FetchResult(failures=(Failure("unauthorized", "HTTP 401", ("AAPL",)),))
    bench, source, _ = listen([refused], [OPEN_END])
    wait_for(source.is_quiet)
    assert bench.count("source_failures_total", reason="unauthorized") == 1
    assert bench.count("source_failures_total", reason="connection") == 0


def test_each_group_gets_its_part(listen: Listen) -> None:
    mixed = FetchResult(
        quotes=(make_quote("AAPL"), make_quote("MSFT"), make_quote("OTHER")),
        rejected=(Rejected("AAPL", "price nan"),),
        missing=("MSFT",),
        failures=(Failure("timeout", "", ("AAPL", "MSFT")),),
    )
    bench, source, _ = listen([mixed, OPEN_END], groups=("a", "m"))
    wait_for(source.is_quiet)
    a, m = (state.poll_status for state in bench.states)
    assert a.report is not None
    assert m.report is not None
    assert (a.report.accepted, a.report.rejected, a.report.missing, a.failure) == (
        1,
        1,
        0,
        Failure("timeout", "", ("AAPL",)),
    )
    assert (m.report.accepted, m.report.rejected, m.report.missing) == (1, 0, 1)
    assert {quote.symbol for quote in quotes_sent(bench)} == {"AAPL", "MSFT"}


def test_a_full_outbox_holds_the_source_up(listen: Listen) -> None:
    bench, source, _ = listen([result(1), result(2), OPEN_END], max_bytes=10)
    wait_until(lambda: bench.count("quotes_total", outcome="accepted"), "the first result is accepted")
    assert not source.is_quiet.is_set()
    assert len(quotes_sent(bench)) == 1
    wait_for(source.is_quiet)
    assert len(quotes_sent(bench)) == 1


def test_a_stop_ends_a_wait_for_room_and_accepts_nothing_more(listen: Listen) -> None:
    bench, source, running = listen([result(1), result(2), OPEN_END], max_bytes=10)
    wait_until(lambda: bench.count("quotes_total", outcome="accepted"), "the first result is accepted")
    running.stop()
    wait_for(running.ended)
    assert source.is_closed
    assert bench.count("quotes_total", outcome="accepted") == 1


@pytest.mark.timed
def test_a_stop_is_prompt_and_no_failure(listen: Listen) -> None:
    bench, source, running = listen([result(1), OPEN_END])
    wait_for(source.is_quiet)
    started = time.monotonic()
    running.stop()
    assert time.monotonic() - started < 1
    wait_for(running.ended)
    assert source.opened == 1
    assert bench.count("polls_total", outcome="failed") == 0


def test_a_source_that_has_ended_is_not_started_again(listen: Listen) -> None:
    last = FetchResult(quotes=(make_quote(),), complete_to=OPEN, ended=True)
    bench, source, running = listen([last])
    wait_for(running.ended)
    assert source.opened == 1
    assert bench.states[0].progress.ended
    assert bench.count("source_failures_total", reason="connection") == 0


class FullOnce(Journal):
    """A journal whose disk is full at the first result."""

    was_full = False

    def append(self, rows: Iterable[Row], *arguments: Any, **options: Any) -> list[Row]:
        if not self.was_full:
            self.was_full = True
            raise JournalError("database or disk is full")
        return super().append(rows, *arguments, **options)


def test_a_journal_that_fails_holds_the_source_up_and_is_not_its_failure(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producer_service.intake.WAIT_SECONDS", 0.01)
    bench, source, _ = listen([result(1), OPEN_END], journal=FullOnce(None, LANES))
    wait_for(source.is_quiet)
    assert [quote.event_time.second for quote in quotes_sent(bench)] == [1]
    assert bench.count("polls_total", outcome="failed") == 0


def test_results_are_logged_together(listen: Listen) -> None:
    with structlog.testing.capture_logs() as logs:
        _, source, running = listen([*(result(second) for second in range(1, 50)), OPEN_END])
        wait_for(source.is_quiet)
        running.stop()
        wait_for(running.ended)
    [line] = [line for line in logs if line["event"] == "polled"]
    assert (line["group"], line["fetched"], line["accepted"]) == ("us", 49, 49)


def test_what_happened_to_a_connection_is_counted_once_for_all_groups(listen: Listen) -> None:
    report = ConnectionReport(
        connected_since=OPEN,
        gap_since=OPEN,
        messages=5,
        garbage=2,
        lags=(0.2, 3.0),
        gaps=("stalled",),
        reconnects=1,
        missed=3,
        corrected=1,
    )
    bench, source, _ = listen([FetchResult(is_push=True, connection=report), OPEN_END], groups=("us", "more"))
    wait_for(source.is_quiet)

    assert bench.count("pushed_messages_total", outcome="read") == 3
    assert bench.count("pushed_messages_total", outcome="garbage") == 2
    assert bench.count("pushed_gaps_total", reason="stalled") == 1
    assert bench.count("pushed_reconnects_total") == 1
    assert bench.count("pushed_differences_total", kind="missed") == 3
    assert bench.count("pushed_differences_total", kind="corrected") == 1
    assert (bench.count("pushed_lag_seconds_count"), bench.count("pushed_lag_seconds_sum")) == (2, 3.2)


def test_the_status_shows_the_connection_and_its_gap(listen: Listen) -> None:
    report = ConnectionReport(connected_since=None, gap_since=OPEN)
    bench, source, _ = listen([FetchResult(is_push=True, connection=report), OPEN_END])
    wait_for(source.is_quiet)

    page = json.loads(bench.status.page())
    assert page["groups"][0]["connection"] == {"connected_since": None, "gap_since": "2026-11-23T14:30:00.000Z"}
    assert bench.count("pushed_gap_open") == 1


def test_a_gap_at_the_end_of_a_session_is_none_while_the_exchange_is_closed(tmp_path: Path) -> None:
    closed = replace(OPEN_ALWAYS, name="closed", sessions=(), zone="UTC")
    bench = Bench(FakeSource(), tmp_path, group("x", ("MSFT",), calendar="closed"), calendars={"closed": closed})
    gap = ConnectionReport(connected_since=None, gap_since=OPEN)
    try:
        bench.intake.accept(bench.states[0], OPEN, FetchResult(connection=gap))
        assert bench.count("pushed_gap_open") == 1, "the last poll of the session is still to come"
        bench.intake.accept(bench.states[0], OPEN, FetchResult(complete_to=OPEN, connection=gap))
        assert bench.count("pushed_gap_open") == 0
    finally:
        bench.close()


def test_what_is_pushed_says_nothing_about_missing_symbols_and_pauses(listen: Listen) -> None:
    until = OPEN + timedelta(minutes=1)
    polled = FetchResult(missing=("MSFT",), inactive=("MSFT",), paused_until=until)
    pushed = FetchResult(quotes=(make_quote("AAPL", 1),), is_push=True)
    bench, source, _ = listen([polled, pushed, OPEN_END])
    wait_for(source.is_quiet)

    status = bench.states[0].poll_status
    assert (status.missing, status.inactive, status.paused_until) == (("MSFT",), ("MSFT",), until)


def test_a_poll_beside_a_stream_says_nothing_about_a_group_that_it_did_not_ask_for(listen: Listen) -> None:
    both = FetchResult(missing=("AAPL", "MSFT"), complete_to=OPEN, asked_at=OPEN, asked=("AAPL", "MSFT"))
    later = OPEN + timedelta(minutes=1)
    one = FetchResult(complete_to=later, asked_at=later, asked=("AAPL",))
    bench, source, _ = listen([both, one, OPEN_END], groups=("us", "more"))
    wait_for(source.is_quiet)

    us, more = bench.states
    assert (us.poll_status.missing, us.progress.completed_at, us.progress.complete_to) == ((), later, later)
    assert (more.poll_status.missing, more.progress.completed_at, more.progress.complete_to) == (("MSFT",), OPEN, OPEN)


def test_a_poll_beside_a_stream_counts_from_its_beginning(listen: Listen) -> None:
    began = OPEN - timedelta(seconds=3)
    bench, source, _ = listen([FetchResult(complete_to=OPEN - timedelta(seconds=13), asked_at=began), OPEN_END])
    wait_for(source.is_quiet)

    assert bench.states[0].progress.completed_at == began


def test_a_market_names_the_symbols_whose_groups_are_due_and_trade(tmp_path: Path) -> None:
    closed = replace(OPEN_ALWAYS, name="closed", sessions=(), zone="UTC")
    bench = Bench(
        FakeSource(),
        tmp_path,
        group("us", ("AAPL",)),
        group("x", ("MSFT",), calendar="closed"),
        calendars={"closed": closed},
    )
    market = GroupMarket(bench.states, lambda: bench.now)
    try:
        assert (market.due(), market.trading()) == (("AAPL", "MSFT"), ("AAPL",))
        complete = FetchResult(complete_to=OPEN)
        for state in bench.states:
            bench.intake.accept(state, OPEN, complete)
        assert market.due() == ("AAPL",), "the last poll of a closed exchange is over"
        assert market.now() == OPEN
    finally:
        bench.close()


class TestFirstResult:
    def test_is_the_first_of_several(self) -> None:
        source = FakePushedSource([result(1), result(2), OPEN_END])
        assert first_result(source, source.symbols, lambda: OPEN, PATIENCE_SECONDS) == result(1)
        assert source.is_closed

    @pytest.mark.parametrize(
        ("steps", "seconds", "reason"),
        [
            ([OPEN_END], 0.01, "timeout"),
            ([], PATIENCE_SECONDS, "connection"),
            ([ValueError("x")], PATIENCE_SECONDS, "malformed"),
        ],
    )
    def test_is_a_failure_if_none_comes(self, steps: list[Step], seconds: float, reason: str) -> None:
        source = FakePushedSource(steps)
        [failure] = first_result(source, source.symbols, lambda: OPEN, seconds).failures
        assert failure.reason == reason
