"""Polls: what they accept, count and log, while the test controls the source and the outbox."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from msgspec.structs import replace

from producer_service import accepted_log
from producer_service.errors import JournalError
from producer_service.exchanges import Trading
from producer_service.journal import Journal
from producer_service.packing import Row
from producer_service.poll_report import PollReport, total
from producer_service.sources import Failure, FetchResult, Rejected, SourceTraits
from quotes import Action, Heartbeat, Quote, decode, lane_of
from tests.fakes.fault import ERRORS
from tests.fakes.producer_bench import LANES, LIVE, RECORDED, Bench, FakeSource, calendar, group
from tests.support.quotes import OPEN, make_quote
from watchlist.symbol_names import yahoo_hint

MakeBench = Callable[..., Bench]


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[MakeBench]:
    made: list[Bench] = []

    def make(source: FakeSource, *groups: Any, **options: Any) -> Bench:
        made.append(Bench(source, tmp_path, *groups, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


def test_every_quote_fetched_has_one_outcome_in_report_counters_and_accepted_log(make_bench: MakeBench) -> None:
    result = FetchResult(
        quotes=(make_quote(second=1), make_quote(second=2), make_quote(second=2), make_quote(second=1)),
        rejected=(Rejected("MSFT", "price nan"),),
        missing=("RIDE",),
    )
    bench = make_bench(FakeSource(result))
    report = bench.poller.poll()
    assert report is not None
    assert (report.fetched, report.accepted, report.suppressed, report.late, report.rejected, report.missing) == (
        5,
        2,
        1,
        1,
        1,
        1,
    )
    counts = [bench.count("quotes_total", outcome=name) for name in ("accepted", "suppressed", "late", "rejected")]
    assert counts == [2, 1, 1, 1]
    assert bench.count("missing_symbols") == 1
    assert [identity.event_time for identity in accepted_log.read(bench.accepted_log_path)] == [
        OPEN + timedelta(seconds=1),
        OPEN + timedelta(seconds=2),
    ]


def test_a_poll_counts_dropped_fields_and_asks_about_missing_symbols(make_bench: MakeBench) -> None:
    result = FetchResult(quotes=(make_quote(),), missing=("BRK.B", "^GSPC"), dropped_fields=2)
    bench = make_bench(FakeSource(result, traits=SourceTraits(is_live=True, hint=yahoo_hint)))
    with structlog.testing.capture_logs() as logs:
        bench.poller.poll()
    assert bench.count("dropped_fields_total") == 2
    [line] = [line for line in logs if line["event"] == "polled"]
    assert (line["missing"], line["hints"]) == (["BRK.B", "^GSPC"], {"BRK.B": "did you mean BRK-B?"})


@pytest.mark.parametrize(("with_quotes", "outcome"), [(True, "partial"), (False, "failed")])
def test_a_failed_request_is_counted_and_its_neighbours_are_kept(
    make_bench: MakeBench, *, with_quotes: bool, outcome: str
) -> None:
    failure = Failure("rate_limited", "HTTP 429", ("MSFT",))
    bench = make_bench(FakeSource(FetchResult(quotes=(make_quote(),) * with_quotes, failures=(failure,))))
    bench.poller.poll()
    assert bench.count("polls_total", outcome=outcome) == 1
    assert bench.count("source_failures_total", reason="rate_limited") == 1
    assert len(bench.sent()) == with_quotes


def test_a_heartbeat_has_the_complete_to_of_the_last_complete_poll_and_follows_its_quotes(
    make_bench: MakeBench,
) -> None:
    complete = FetchResult(quotes=(make_quote(),), complete_to=OPEN)
    failed = FetchResult(failures=(Failure("timeout", "", ("AAPL",)),))
    bench = make_bench(FakeSource(complete, failed))
    bench.poller.poll()
    bench.poller.poll()
    bench.intake.beat()
    lines = bench.sent()
    heartbeats = [line for line in lines if isinstance(line, Heartbeat)]
    assert [heartbeat.complete_to for heartbeat in heartbeats] == [OPEN] * LANES
    of_lane = [line for line in lines if not isinstance(line, Heartbeat) or line.lane == "lane-00-of-02"]
    assert isinstance(of_lane[0], Quote)


def test_before_the_first_complete_poll_a_heartbeat_claims_nothing(make_bench: MakeBench) -> None:
    bench = make_bench(FakeSource())
    bench.intake.beat()
    assert [line.complete_to for line in bench.sent() if isinstance(line, Heartbeat)] == [None] * LANES


def test_heartbeats_of_one_millisecond_have_different_clocks(make_bench: MakeBench) -> None:
    bench = make_bench(FakeSource())
    bench.intake.beat()
    bench.intake.close()
    clocks = [line.clock for line in bench.sent() if isinstance(line, Heartbeat) and line.lane == "lane-00-of-02"]
    assert clocks == [OPEN, OPEN + timedelta(milliseconds=1)]


def test_polls_until_the_source_has_nothing_more_that_is_due(make_bench: MakeBench) -> None:
    results = [FetchResult(quotes=(make_quote(second=n),), more=n < 3) for n in range(1, 4)]
    bench = make_bench(FakeSource(*results))
    bench.poller.poll_all()
    assert len(bench.sent()) == 3


def test_a_poll_that_comes_back_after_the_close_is_not_accepted(make_bench: MakeBench) -> None:
    source = FakeSource(FetchResult(quotes=(make_quote(),)))
    bench = make_bench(source)
    source.during = bench.intake.close
    assert bench.poller.poll() is None
    assert all(isinstance(line, Heartbeat) for line in bench.sent())
    assert list(accepted_log.read(bench.accepted_log_path)) == []


def test_a_full_outbox_holds_the_poll_up_until_there_is_room_and_counts_the_time(make_bench: MakeBench) -> None:
    source = FakeSource(*(FetchResult(quotes=(make_quote(second=n),)) for n in (1, 2)))
    bench = make_bench(source, max_bytes=10)
    bench.poller.poll()
    waiting = threading.Thread(target=bench.poller.poll)
    waiting.start()
    assert len(source.results) == 1  # nothing was fetched, and what is not fetched cannot be lost
    bench.sent()
    waiting.join(10)
    assert source.results == []
    assert bench.count("outbox_full_seconds_total") > 0


def test_a_stop_ends_the_wait_for_room(make_bench: MakeBench) -> None:
    source = FakeSource(*(FetchResult(quotes=(make_quote(second=n),)) for n in (1, 2)))
    bench = make_bench(source, max_bytes=10)
    bench.poller.poll()
    bench.stopping.set()
    assert bench.poller.poll() is None
    assert len(source.results) == 1


def test_a_closed_group_is_polled_once_and_then_when_it_opens(make_bench: MakeBench) -> None:
    source = FakeSource()
    source.answer = lambda _symbols, now: FetchResult(quotes=(make_quote(),), complete_to=now)
    opens = OPEN + timedelta(hours=1)
    day = calendar("DAY", (OPEN - timedelta(hours=9), OPEN - timedelta(hours=2)), (opens, opens + timedelta(hours=7)))
    bench = make_bench(source, group(calendar="DAY"), calendars={"DAY": day})
    first, again = bench.poller.poll_if_due(), bench.poller.poll_if_due()
    assert (first is None, again is None) == (False, True)
    bench.now = opens
    assert bench.poller.poll_if_due() is not None
    assert bench.beats >= 3  # a closed group's loop is alive too


def test_a_closed_group_is_polled_until_a_poll_is_complete(make_bench: MakeBench) -> None:
    failed = FetchResult(failures=(Failure("timeout", "", ("AAPL",)),))
    bench = make_bench(
        FakeSource(failed, FetchResult(complete_to=OPEN)),
        group(calendar="DAY"),
        calendars={"DAY": calendar("DAY", (OPEN - timedelta(hours=9), OPEN - timedelta(hours=2)))},
    )
    assert [bench.poller.poll_if_due() is None for _ in range(3)] == [False, False, True]


def test_a_group_that_has_ended_is_polled_no_more(make_bench: MakeBench) -> None:
    bench = make_bench(FakeSource(FetchResult(complete_to=OPEN, ended=True)))
    assert [bench.poller.poll_if_due() is None for _ in range(2)] == [False, True]


def test_while_the_breaker_is_open_a_poll_counts_as_paused_and_what_was_missing_stays(make_bench: MakeBench) -> None:
    until = OPEN + timedelta(minutes=5)
    asked = FetchResult(missing=("RIDE",), inactive=("OLD", "OLDER"), complete_to=OPEN)
    bench = make_bench(FakeSource(asked, FetchResult(paused_until=until, inactive=("OLD",))))
    bench.poller.poll()
    assert bench.count("source_breaker_open") == 0
    report = bench.poller.poll()
    assert report is not None
    assert report.paused
    assert bench.count("polls_total", outcome="paused") == bench.count("polls_total", outcome="complete") == 1
    assert bench.count("source_breaker_open") == bench.count("missing_symbols") == bench.count("symbols_set_aside") == 1
    bench.now = until
    assert bench.count("source_breaker_open") == 0


def test_missing_symbols_are_summed_over_the_groups(make_bench: MakeBench) -> None:
    source = FakeSource()
    source.answer = lambda symbols, _now: FetchResult(missing=tuple(symbols))
    bench = make_bench(source, group("a", ("A1", "A2")), group("b", ("B1",)))
    for poller in bench.pollers:
        poller.poll()
    assert (bench.count("missing_symbols"), bench.count("groups"), bench.count("groups_open")) == (3, 2, 2)


def test_a_group_that_is_polled_after_its_session_is_open_and_does_not_trade(make_bench: MakeBench) -> None:
    settles = Trading(calendar="DAY", settling=timedelta(hours=1))
    bench = make_bench(
        FakeSource(FetchResult(complete_to=OPEN), traits=replace(LIVE, trading=lambda _symbol: settles)),
        group(calendar="DAY"),
        calendars={"DAY": calendar("DAY", (OPEN - timedelta(hours=2), OPEN - timedelta(minutes=1)))},
    )
    with structlog.testing.capture_logs() as logs:
        bench.poller.poll_if_due()
    assert [line["trading"] for line in logs if line["event"] == "polled"] == [False]
    assert (bench.count("groups_open"), bench.count("groups_trading")) == (1, 0)


def test_a_quote_is_as_fresh_as_it_is_old_beyond_its_declared_delay(make_bench: MakeBench) -> None:
    delayed = replace(make_quote("MSFT", second=3), delay_minutes=15)
    bench = make_bench(FakeSource(FetchResult(quotes=(make_quote(second=1), delayed))))
    bench.poller.poll()
    rows = [row for packet in bench.outbox.take(0) for row in packet.rows]
    assert {time - OPEN.timestamp() for row in rows for time in row.available_at} == {1, 15 * 60 + 3}


def test_the_freshness_of_recordings_is_not_measured(make_bench: MakeBench) -> None:
    bench = make_bench(FakeSource(FetchResult(quotes=(make_quote(),)), traits=RECORDED))
    bench.poller.poll()
    assert [row.available_at for packet in bench.outbox.take(0) for row in packet.rows] == [()]


def test_groups_of_one_source_take_turns_and_none_begins_after_a_stop(make_bench: MakeBench) -> None:
    asked, answer = threading.Event(), threading.Event()
    source = FakeSource(FetchResult())

    def during() -> None:
        asked.set()
        answer.wait(10)

    source.during = during
    bench = make_bench(source, group("a", ("A1",)), group("b", ("B1",)))
    first = threading.Thread(target=bench.pollers[0].poll)
    first.start()
    asked.wait(10)
    second = threading.Thread(target=bench.pollers[1].poll)
    second.start()
    bench.stopping.set()
    answer.set()
    first.join(10)
    second.join(10)
    assert source.results == []  # fetched once: another fetch would raise IndexError


def test_the_total_of_some_polls_is_ended_once_all_are() -> None:
    reports = [PollReport(fetched=2, accepted=2, ended=True), PollReport(fetched=3, late=3, more=True)]
    assert total(reports) == PollReport(fetched=5, accepted=2, late=3, more=True)
    assert total(reports[:1]).ended
    assert total([]) == PollReport()


SPLIT = Action(
    symbol="MSFT", action="split", event_time=OPEN, source="yahoo", ingest_time=OPEN, numerator=31, denominator=1000
)


def test_an_action_travels_once_in_the_lane_of_its_symbol_before_the_quotes_of_its_poll(make_bench: MakeBench) -> None:
    quotes = [make_quote(symbol, second=1) for symbol in ("AAPL", "MSFT")]
    again = replace(SPLIT, ingest_time=OPEN + timedelta(days=1))
    bench = make_bench(
        FakeSource(
            FetchResult(quotes=tuple(quotes), actions=(SPLIT,), rejected_actions=(Rejected("AAPL", "numerator 0"),)),
            FetchResult(actions=(again, again), complete_to=OPEN),
        )
    )

    report = bench.poller.poll()
    bench.poller.poll()
    (packet,) = (each for each in bench.outbox.take(0) if each.lane == lane_of("MSFT", LANES))

    lines = [good.line for good in decode(packet.data).good]
    assert lines == [SPLIT, *(quote for quote in quotes if lane_of(quote.symbol, LANES) == packet.lane)]
    assert report is not None
    assert (report.fetched, report.accepted, report.rejected) == (2, 2, 0)
    counts = [bench.count("actions_total", outcome=name) for name in ("accepted", "suppressed", "rejected")]
    assert counts == [1, 2, 1]


def test_actions_change_no_count_of_quotes_and_are_not_in_the_accepted_log(make_bench: MakeBench) -> None:
    bench = make_bench(FakeSource(FetchResult(quotes=(make_quote(),), actions=(SPLIT,), complete_to=OPEN)))

    bench.poller.poll()
    before = bench.outbox.counts()
    assert (before.accepted, before.pending, before.acknowledged) == (1, 1, 0)
    assert before.bytes > 0
    assert len(bench.sent()) == 2

    after = bench.outbox.counts()
    assert (after.accepted, after.pending, after.acknowledged, after.bytes) == (1, 0, 1, 0)
    assert len([*accepted_log.read(bench.accepted_log_path)]) == 1


def test_an_action_whose_commit_failed_is_sent_with_the_next_attempt(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producer_service.intake.WAIT_SECONDS", 0)
    journal = FullDisk(None, LANES)
    journal.until = lambda: journal.failures > 0
    bench = make_bench(FakeSource(FetchResult(quotes=(make_quote(),), actions=(SPLIT,))), journal=journal)
    bench.poller.poll()
    assert journal.failures == 1
    assert {type(line) for line in bench.sent()} == {Action, Quote}


def test_a_poll_that_is_paused_still_delivers_the_actions_that_came_before(make_bench: MakeBench) -> None:
    bench = make_bench(FakeSource(FetchResult(paused_until=OPEN, actions=(SPLIT,))))

    report = bench.poller.poll()

    assert report is not None
    assert report.outcome == "paused"
    assert bench.sent() == [SPLIT]


def test_actions_survive_a_restart_in_the_journal(make_bench: MakeBench, tmp_path: Path) -> None:
    source = FakeSource(FetchResult(actions=(SPLIT,)))
    first = make_bench(source, journal=Journal(tmp_path / "journal", LANES))
    first.poller.poll()
    first.close()

    second = make_bench(FakeSource(), journal=Journal(tmp_path / "journal", LANES))
    assert second.outbox.counts().recovered == 0
    assert second.sent() == [SPLIT]


class FullDisk(Journal):
    """A journal whose commits fail until there is space again."""

    failures = 0
    until: Callable[[], bool] = lambda: True

    def append(self, rows: Iterable[Row], *arguments: Any, **options: Any) -> list[Row]:
        if not self.until():
            self.failures += 1
            raise JournalError("database or disk is full")
        return super().append(rows, *arguments, **options)


def test_a_full_disk_holds_a_poll_up_loses_nothing_and_is_logged_once_a_minute(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producer_service.intake.WAIT_SECONDS", 0)
    journal = FullDisk(None, LANES)
    source = FakeSource(FetchResult(quotes=(make_quote("AAPL"), make_quote("MSFT")), complete_to=OPEN))
    bench = make_bench(source, journal=journal)
    seen: list[str] = []

    def has_space() -> bool:
        seen.append(bench.health.readiness().reason)
        return bench.beats > 150  # the clock of the bench's health goes by beats

    journal.until = has_space
    with structlog.testing.capture_logs() as logs:
        report = bench.poller.poll()
    assert report is not None
    assert report.accepted == 2
    assert "the journal fails: database or disk is full" in seen[1]
    assert "the journal" not in bench.health.readiness().reason
    events = [line["event"] for line in logs]
    assert events == ["journal_failed"] * 3 + ["polled"]
    assert not any("exc_info" in line for line in logs)
    assert bench.count("journal_failures_total") == journal.failures == 150
    assert len([line for line in bench.sent() if isinstance(line, Quote)]) == 2


def test_a_stop_ends_a_wait_for_the_disk(make_bench: MakeBench) -> None:
    journal = FullDisk(None, LANES)
    bench = make_bench(FakeSource(FetchResult(quotes=(make_quote(),))), journal=journal)

    def has_space() -> bool:
        bench.stopping.set()
        return False

    journal.until = has_space
    assert bench.poller.poll() is None


def test_a_heartbeat_that_a_full_disk_refuses_is_no_unexpected_error(make_bench: MakeBench) -> None:
    journal = FullDisk(None, LANES)
    bench = make_bench(FakeSource(), journal=journal)
    journal.until = lambda: False
    bench.intake.beat()
    bench.intake.close()
    assert bench.count("journal_failures_total") == 2
    assert bench.count("unexpected_errors_total") == 0


@pytest.mark.parametrize("error", ERRORS)
def test_whatever_a_source_raises_is_a_failure_of_the_source(make_bench: MakeBench, error: str) -> None:
    source = FakeSource()

    def fail(*_: object) -> FetchResult:
        failure = ERRORS[error]()
        raise failure

    source.answer = fail
    bench = make_bench(source)
    with structlog.testing.capture_logs() as logs:
        reports = [bench.poller.poll() for _ in range(3)]
    assert [report.outcome for report in reports if report is not None] == ["failed"] * 3
    assert [line["event"] for line in logs].count("fetch_crashed") <= 1
    assert bench.count("unexpected_errors_total") == 0
