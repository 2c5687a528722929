"""The state of a group: its calendars, its margins, and what a poll changes."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from producer_service.exchanges import Trading, trading_of
from producer_service.group_state import GroupState, Progress
from producer_service.market_hours import MarketHours
from producer_service.sources import FetchResult, SourceTraits
from tests.fakes.producer_bench import LIVE, RECORDED, calendar, group
from tests.support.quotes import OPEN, make_quote

MINUTE = timedelta(minutes=1)
DAY = calendar("DAY", (OPEN, OPEN + 60 * MINUTE))
MARKET_HOURS = MarketHours(["DAY"], lambda _name, _now: DAY, OPEN)


def state(traits: SourceTraits = LIVE, *, before: timedelta = MINUTE, after: timedelta = MINUTE) -> GroupState:
    return GroupState(group(calendar="DAY"), traits, MARKET_HOURS, before_open=before, after_close=after)


@pytest.mark.parametrize(
    ("traits", "calendars"),
    [(SourceTraits(is_live=True, trading=trading_of), ("XLON", "XNYS")), (RECORDED, ("always",))],
    ids=["exchanges", "never closes"],
)
def test_the_source_derives_the_calendars_of_auto(traits: SourceTraits, calendars: tuple[str, ...]) -> None:
    auto = group(symbols=("AAPL", "HSBA.L"), calendar="auto")
    made = GroupState(auto, traits, MARKET_HOURS, before_open=timedelta(), after_close=timedelta())
    assert made.calendars == calendars


def test_the_calendar_of_the_user_comes_first_and_keeps_the_margins_of_the_symbol() -> None:
    assert state(RECORDED).trading["AAPL"] == Trading(calendar="DAY")
    yahoo = SourceTraits(is_live=True, trading=trading_of)
    assert state(yahoo).trading["AAPL"] == replace(trading_of("AAPL"), calendar="DAY")


@pytest.mark.parametrize(
    ("settings", "source", "margin"), [(10, 5, 10), (10, 15, 15), (10, 0, 10)], ids=["settings", "source", "none"]
)
def test_the_longer_margin_counts(settings: int, source: int, margin: int) -> None:
    trading = Trading(calendar="DAY", opens_earlier=source * MINUTE, closes_later=source * MINUTE)
    traits = replace(LIVE, trading=lambda _symbol: trading)
    made = state(traits, before=settings * MINUTE, after=settings * MINUTE)
    phase = made.phase(OPEN)
    assert (phase.since, phase.closes) == (OPEN - margin * MINUTE, OPEN + (60 + margin) * MINUTE)


SETTLES = Trading(calendar="DAY", closes_later=5 * MINUTE, settling=30 * MINUTE, delay=15 * MINUTE)
CLOSE = OPEN + 65 * MINUTE


def test_a_group_is_polled_until_its_session_has_settled_and_the_delay_has_passed() -> None:
    made = state(replace(LIVE, trading=lambda _symbol: SETTLES))
    assert made.phase(OPEN).closes == CLOSE + 45 * MINUTE
    made.progress = Progress(delay=20 * MINUTE)  # it declared more than was assumed
    assert made.phase(OPEN).closes == CLOSE + 50 * MINUTE


@pytest.mark.parametrize(
    ("polled_at", "complete_to"),
    [
        (CLOSE - MINUTE, CLOSE - MINUTE),
        (CLOSE + MINUTE, CLOSE),
        (CLOSE + 44 * MINUTE, CLOSE),
        (CLOSE + 45 * MINUTE, CLOSE + 60 * MINUTE),  # it is closed, and complete up to the clock
    ],
)
def test_while_a_session_settles_a_group_is_not_complete_past_the_close(
    polled_at: datetime, complete_to: datetime
) -> None:
    made = state(replace(LIVE, trading=lambda _symbol: SETTLES))
    made.progress = Progress(completed_at=polled_at, complete_to=polled_at)
    assert made.complete_to(CLOSE + 60 * MINUTE) == complete_to


@pytest.mark.parametrize("polled_at", [CLOSE - MINUTE, CLOSE + MINUTE])
@pytest.mark.parametrize("pushed_at", [CLOSE + 2 * MINUTE, CLOSE + 44 * MINUTE, CLOSE + 50 * MINUTE])
def test_what_is_pushed_completes_no_session_however_long_polls_fail(polled_at: datetime, pushed_at: datetime) -> None:
    made = state(replace(LIVE, trading=lambda _symbol: SETTLES))
    polled, pushed = FetchResult(complete_to=polled_at), FetchResult(complete_to=pushed_at, is_push=True)
    made.progress = Progress().after(polled_at, polled).after(pushed_at, pushed)
    assert made.complete_to(pushed_at) == CLOSE
    assert made.complete_to(pushed_at, ()) == pushed_at, "symbols that never close are not held"
    assert made.is_due(CLOSE + 60 * MINUTE), "a poll must bring the last prices"


def test_a_settling_session_holds_only_the_symbols_that_trade_in_it() -> None:
    tradings = {"AAPL": SETTLES, "MSFT": Trading(calendar="DAY")}
    made = state(replace(LIVE, trading=tradings.__getitem__))
    made.progress = Progress(completed_at=CLOSE + MINUTE, complete_to=CLOSE + MINUTE)
    assert made.complete_to(CLOSE + MINUTE, {tradings["MSFT"]}) == CLOSE + MINUTE
    assert made.complete_to(CLOSE + MINUTE, tradings.values()) == made.complete_to(CLOSE + MINUTE) == CLOSE


def test_prices_that_bear_times_before_the_close_hold_the_group_from_then_on() -> None:
    fund = replace(SETTLES, closes_later=timedelta(), stamped_before_close=10 * MINUTE)
    made = state(replace(LIVE, trading=lambda _symbol: fund))
    polled_at = OPEN + 55 * MINUTE
    made.progress = Progress(completed_at=polled_at, complete_to=polled_at)
    assert made.complete_to(polled_at) == OPEN + 50 * MINUTE


def test_a_group_trades_while_its_exchange_does_as_seen_through_the_delay() -> None:
    made = state(replace(LIVE, trading=lambda _symbol: SETTLES))
    made.progress = Progress(delay=20 * MINUTE)
    at = [made.is_trading(OPEN + minute * MINUTE) for minute in (0, 19, 20, 79, 80)]
    assert at == [False, False, True, True, False]


def test_progress_keeps_the_longest_delay_and_what_was_known_before_a_failure() -> None:
    delayed = FetchResult(quotes=(replace(make_quote(), delay_minutes=15),), complete_to=OPEN)
    progress = Progress().after(OPEN, delayed).after(OPEN + MINUTE, FetchResult(complete_to=OPEN + MINUTE))
    assert progress == Progress(completed_at=OPEN + MINUTE, complete_to=OPEN + MINUTE, delay=15 * MINUTE)
    assert progress.after(OPEN + 2 * MINUTE, FetchResult()) == progress


def test_a_group_that_has_ended_is_never_due() -> None:
    made = state()
    assert made.is_due(OPEN)
    made.progress = Progress(ended=True)
    assert not made.is_due(OPEN)
