"""Which quotes show a split, and what a split does to the state of a symbol."""

from fractions import Fraction

import pytest

from processor_lambda.alerts import Split
from processor_lambda.splits import split_ratio
from quotes import Line
from tests.fakes.pipeline import make_quote
from tests.support.lane_folding import DAY, MOVE, fold_batches, heartbeat


@pytest.mark.parametrize(
    ("last", "previous_close", "price", "ratio"),
    [
        (500.0, 125.2, 127.0, Fraction(4)),
        (1200.0, 120.1, 119.0, Fraction(10)),
        (150.0, 100.1, 101.0, Fraction(3, 2)),
        (2.0, 20.1, 19.5, Fraction(1, 10)),
        (100.0, 75.0, 76.0, Fraction(4, 3)),
    ],
)
def test_the_ratio_follows_from_the_last_price_and_the_new_previous_close(
    last: float, previous_close: float, price: float, ratio: Fraction
) -> None:
    assert split_ratio(last, previous_close, price) == ratio


@pytest.mark.parametrize(
    ("last", "previous_close", "price"),
    [
        (100.0, 100.0, 50.0),  # a crash: the previous close does not show it
        (100.0, 50.0, 99.0),  # a wrong previous close: the price does not show it
        (100.0, 79.0, 79.5),  # a fifth, and not quite 5 for 4
        (100.0, 47.0, 47.0),
        (0.0, 50.0, 50.0),
        (-5.0, 5.0, 5.0),
        (100.0, 0.0, 50.0),
    ],
)
def test_anything_else_is_not_a_split(last: float, previous_close: float, price: float) -> None:
    assert split_ratio(last, previous_close, price) is None


def on_day(number: int, price: str, previous_close: str) -> Line:
    return make_quote(second=number * DAY, price=price, previous_close=previous_close)


def test_a_split_rescales_the_indicators_and_raises_an_alert() -> None:
    before = [make_quote(second=minute * 60, price="200", previous_close="199") for minute in range(5)]
    bars, alerts, _ = fold_batches([*before, on_day(1, "51", "50.1"), heartbeat(DAY + 60)], rules=[MOVE, Split()])
    assert [(alert.severity, alert.subject) for alert in alerts] == [
        ("info", "AAPL split 4 for 1: its indicators are rescaled")
    ]
    assert bars[-1].indicators["sma_5"] == pytest.approx((50 * 4 + 51) / 5)


def test_a_price_and_a_previous_close_that_are_both_halved_are_a_split() -> None:
    assert len(fold_batches([on_day(0, "200", "199"), on_day(1, "100", "100")], rules=[Split()]).alerts) == 1


@pytest.mark.parametrize(
    ("price", "previous_close"),
    [("199", "50"), ("51", "200"), ("190", "198"), ("165", "160.5")],
    ids=["a wrong previous close", "a crash", "a usual day", "no ratio"],
)
def test_what_only_looks_like_a_split_rescales_nothing(price: str, previous_close: str) -> None:
    assert fold_batches([on_day(0, "200", "199"), on_day(1, price, previous_close)], rules=[Split()]).alerts == []


def test_after_a_long_silence_a_halved_price_is_not_a_split() -> None:
    assert fold_batches([on_day(0, "200", "199"), on_day(30, "100", "100")], rules=[Split()]).alerts == []
