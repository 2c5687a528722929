"""A plan and its outcome in words for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from backfill.plan_text import plan_lines, summary_lines
from backfill.summary import Summary
from bars.sessions import Session, SymbolCalendar
from tests.fakes.backfilled_market import BackfilledMarket


def test_a_plan_names_requests_days_and_time() -> None:
    market = BackfilledMarket()
    assert list(plan_lines(market.plan(), 0.5, None)) == [
        "AAPL: 2 requests for 2026-11-16 to 2026-11-27, 1 for its splits",
        "MSFT: 2 requests for 2026-11-16 to 2026-11-27, 1 for its splits",
        "6 requests at 0.5 a second: about 12 seconds",
        "up to 140 bars to write: about 1 second at 100 a second",
    ]
    market.stream("AAPL", market.minutes[30:])
    assert list(plan_lines(market.plan(), 0.5, None))[-1] == (
        "up to 110 bars to write, and the indicators of 30 later bars to compute: about 1 second at 100 a second"
    )


def test_a_long_plan_is_cut() -> None:
    market = BackfilledMarket([f"S{number}" for number in range(20)])
    lines = list(plan_lines(market.plan(), 0.5, 2))
    assert lines[2:] == ["… and 18 more symbols", "60 requests at 0.5 a second: about 2 minutes", lines[-1]]
    assert lines[-1] == "up to 1,400 bars to write: about 14 seconds at 100 a second"


def test_nothing_to_do_is_said() -> None:
    market = BackfilledMarket()
    market.run()
    assert list(plan_lines(market.plan(), 0.5, None)) == ["no bar is missing of 2 symbols"]


def test_a_plan_without_symbols_does_not_say_that_nothing_is_missing() -> None:
    assert list(plan_lines(BackfilledMarket([]).plan(), 0.5, None)) == []


def test_what_cannot_be_filled_is_said() -> None:
    market = BackfilledMarket()
    plan = market.plan()
    market.now = market.now.replace(month=12, day=20)
    planned = market.plan().symbols["AAPL"]
    assert planned.forgotten
    plan.symbols["AAPL"] = planned._replace(is_unknown=True, chunks=[], daily=None)  # type: ignore[index]
    lines = list(plan_lines(plan, 0.5, None))
    assert lines[1] == (
        f"Yahoo no longer keeps some missing bars of AAPL ({len(planned.forgotten)} days)."
        " It keeps coarser bars for longer: see --resolution"
    )
    assert lines[2] == "some sessions of AAPL are not in the table of calendars, and their days are left out"


def test_the_last_day_of_a_plan_is_one_that_is_asked_for() -> None:
    market = BackfilledMarket(["BTC-USD"])
    market.symbols["BTC-USD"] = SymbolCalendar("XNYS", "UTC")
    midnight = datetime(2026, 11, 26, tzinfo=UTC)
    market.sessions = [Session("2026-11-25", midnight - timedelta(days=1), midnight)]
    assert next(plan_lines(market.plan(), 0.5, None)) == (
        "BTC-USD: 1 request for 2026-11-25 to 2026-11-25, 1 for its splits"
    )


def test_with_forgotten_days_alone_no_line_says_that_nothing_is_missing() -> None:
    market = BackfilledMarket()
    market.now = market.now.replace(month=12, day=31)
    (forgotten, last) = plan_lines(market.plan(), 0.5, None)
    assert forgotten.startswith("Yahoo no longer keeps some missing bars of AAPL (10 days), MSFT (10 days).")
    assert last == "there is nothing to ask Yahoo for"


def test_an_outcome_names_what_was_written_and_every_failure() -> None:
    summary = Summary(
        resolution="1m",
        requests=1,
        written=1_960,
        written_days=10,
        without_trades=3,
        from_archive=1,
        refolded=2_000,
        lanes=1,
        problems=["AAPL, 1m from 2026-11-16: 1 row outside the window was left out"],
        failures=["MSFT from 2026-11-16: timeout: no answer"],
    )
    assert list(summary_lines(summary)) == [
        "wrote 1,950 bars of 1m and 10 of a day, which show splits, after 1 request",
        "Yahoo has no bar of 3 minutes",
        "stored 1 answer of an earlier run",
        "computed the indicators of 2,000 bars again, and those of the live stream for 1 symbol",
        "AAPL, 1m from 2026-11-16: 1 row outside the window was left out",
        "MSFT from 2026-11-16: timeout: no answer",
    ]


def test_an_outcome_does_not_list_what_did_not_happen() -> None:
    assert list(summary_lines(Summary(resolution="1m", symbols=1))) == []
    refused = Summary(resolution="1m", requests=1, failures=["AAPL from 2026-11-16: timeout: no answer"])
    assert list(summary_lines(refused)) == ["wrote 0 bars of 1m after 1 request", *refused.failures]
    assert list(summary_lines(Summary(resolution="1h", refolded=1))) == ["computed the indicators of 1 bar again"]
