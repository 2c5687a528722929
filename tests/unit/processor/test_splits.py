from fractions import Fraction

import pytest

from processor_lambda.splits import split_ratio


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
def test_a_ratio_is_told_from_the_last_price_and_the_new_previous_close(
    last: float, previous_close: float, price: float, ratio: Fraction
) -> None:
    assert split_ratio(last, previous_close, price) == ratio


@pytest.mark.parametrize(
    ("last", "previous_close", "price"),
    [
        (100.0, 100.0, 50.0),  # a crash: the previous close does not tell of it
        (100.0, 50.0, 99.0),  # a wrong previous close: the price does not
        (100.0, 79.0, 79.5),  # a fifth, and not quite 5 for 4
        (100.0, 47.0, 47.0),
        (0.0, 50.0, 50.0),
        (-5.0, 5.0, 5.0),
        (100.0, 0.0, 50.0),
    ],
)
def test_anything_else_is_no_split(last: float, previous_close: float, price: float) -> None:
    assert split_ratio(last, previous_close, price) is None
