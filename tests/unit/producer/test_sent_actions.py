from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from msgspec.structs import replace

from producer_service.sent_actions import SentActions
from quotes import Action
from tests.support.quotes import OPEN

SPLIT = Action(
    symbol="AAPL", action="split", event_time=OPEN, source="yahoo", ingest_time=OPEN, numerator=31, denominator=1000
)
DIVIDEND = Action(
    symbol="AAPL", action="dividend", event_time=OPEN, source="yahoo", ingest_time=OPEN, amount=Decimal("0.26")
)
DAY = timedelta(days=1)


def received(action: Action, days: int) -> Action:
    return replace(action, ingest_time=OPEN + days * DAY)


def test_an_action_is_new_once_however_often_it_is_received() -> None:
    sent = SentActions()
    assert sent.new([SPLIT, DIVIDEND, received(SPLIT, 1)]) == (SPLIT, DIVIDEND)
    sent.record([SPLIT, DIVIDEND])
    assert sent.new([received(SPLIT, 1), received(DIVIDEND, 30)]) == ()


def test_an_action_that_was_not_recorded_stays_new() -> None:
    """Otherwise a full disk would lose it."""
    sent = SentActions()
    assert sent.new([SPLIT]) == sent.new([SPLIT]) == (SPLIT,)


def test_a_correction_is_new_and_so_is_the_next() -> None:
    sent = SentActions()
    corrected = replace(DIVIDEND, amount=Decimal("0.25"))
    for action in (DIVIDEND, corrected, DIVIDEND):
        assert sent.new([action]) == (action,)
        sent.record([action])


def test_other_symbols_kinds_and_times_are_others() -> None:
    sent = SentActions()
    sent.record([SPLIT])
    others = (replace(SPLIT, symbol="MSFT"), DIVIDEND, replace(SPLIT, event_time=OPEN - DAY))
    assert sent.new(others) == others


def test_the_memory_is_bounded_and_forgets_the_oldest() -> None:
    sent = SentActions(most=10)
    actions = [replace(SPLIT, symbol=f"S{number}") for number in range(25)]
    for action in actions:
        sent.record([action])
    assert sent.new(actions) == tuple(actions[:15])
