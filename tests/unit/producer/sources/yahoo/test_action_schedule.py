"""Which symbols are asked for their corporate actions, and when."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from producer_service.sources.yahoo.action_schedule import (
    JUMP_SECONDS,
    REPEAT_SECONDS,
    REQUESTS_BURST,
    RETRY_SECONDS,
    START_SECONDS,
    ActionSchedule,
)
from quotes import Quote
from tests.support.quotes import make_quote

HOUR = 3_600.0
DAY = 24 * HOUR
QUOTE = make_quote()


def priced(*symbols: str, price: str = "100") -> list[Quote]:
    return [replace(QUOTE, symbol=symbol, price=Decimal(price)) for symbol in symbols]


@pytest.fixture
def schedule() -> ActionSchedule:
    """It has started, and its rate sets no limit."""
    schedule = ActionSchedule(per_second=1000, burst=1000)
    assert schedule.choose((), 0) == ()
    return schedule


@pytest.mark.parametrize(("interval", "symbols"), [(1.0, 50), (10.0, 1000), (60.0, 1000)])
def test_a_fresh_start_asks_for_each_symbol_once_within_hours_and_gently(interval: float, symbols: int) -> None:
    quotes = priced(*(f"S{number}" for number in range(symbols)))
    schedule = ActionSchedule()
    asked: list[str] = []
    now = 0.0
    while len(asked) < len(quotes) and now < DAY:
        chosen = schedule.choose(quotes, now)
        assert len(chosen) <= REQUESTS_BURST
        for symbol in chosen:
            schedule.answered(symbol, now)
        asked += chosen
        now += interval

    assert sorted(asked) == sorted(quote.symbol for quote in quotes)
    assert now < 6 * HOUR  # shorter than a session


def test_nothing_is_asked_within_the_first_seconds() -> None:
    schedule = ActionSchedule()

    assert schedule.choose(priced("AAPL"), 1000) == ()
    assert schedule.choose(priced("AAPL"), 1000 + START_SECONDS - 1) == ()
    assert schedule.choose(priced("AAPL"), 1000 + START_SECONDS) == ("AAPL",)


def test_an_answered_symbol_is_asked_once_on_each_trading_day(schedule: ActionSchedule) -> None:
    now = 100.0
    for _ in range(5):
        assert schedule.choose(priced("AAPL"), now) == ("AAPL",)
        schedule.answered("AAPL", now)
        for later in (1.0, 6.5 * HOUR, REPEAT_SECONDS - 1):
            assert schedule.choose(priced("AAPL"), now + later) == ()
        now += DAY


def test_a_failed_symbol_is_asked_again_an_hour_later(schedule: ActionSchedule) -> None:
    schedule.failed("AAPL", 100)

    assert schedule.choose(priced("AAPL"), 100 + RETRY_SECONDS - 1) == ()
    assert schedule.choose(priced("AAPL"), 100 + RETRY_SECONDS) == ("AAPL",)


def test_a_symbol_that_was_not_asked_is_chosen_again(schedule: ActionSchedule) -> None:
    """The requests of a poll may end early. What was chosen is then neither answered nor failed."""
    assert schedule.choose(priced("AAPL", "MSFT"), 100) == ("AAPL", "MSFT")
    schedule.answered("AAPL", 100)
    assert schedule.choose(priced("AAPL", "MSFT"), 110) == ("MSFT",)


def test_an_action_in_the_future_is_asked_for_when_it_takes_effect(schedule: ActionSchedule) -> None:
    schedule.answered("AAPL", 100, again_in=300)
    schedule.answered("MSFT", 100, again_in=7 * DAY)

    assert schedule.choose(priced("AAPL", "MSFT"), 399) == ()
    assert schedule.choose(priced("AAPL", "MSFT"), 400) == ("AAPL",)
    assert schedule.choose(priced("MSFT"), 100 + REPEAT_SECONDS) == ("MSFT",)


@pytest.mark.parametrize(
    ("price", "jumps"), [("121", True), ("79", True), ("120", False), ("80", False), ("3100", True)]
)
def test_a_symbol_whose_price_jumps_comes_first_and_soon(
    schedule: ActionSchedule,
    price: str,
    jumps: bool,  # noqa: FBT001
) -> None:
    schedule.choose(priced("AAPL", "MSFT"), 100)
    schedule.answered("AAPL", 100)

    now = 100 + JUMP_SECONDS
    chosen = schedule.choose([*priced("MSFT"), *priced("AAPL", price=price)], now)
    assert chosen == (("MSFT", "AAPL") if jumps else ("MSFT",))
    assert schedule.choose(priced("AAPL", price=price), now) == (("AAPL",) if jumps else ())


def test_jumps_of_a_price_do_not_ask_more_often_than_every_ten_minutes(schedule: ActionSchedule) -> None:
    asked = 0
    for poll in range(360):
        now = 100.0 + 10 * poll
        if schedule.choose(priced("AAPL", price="1" if poll % 2 else "100"), now):
            schedule.answered("AAPL", now)
            asked += 1

    assert asked == 6
