"""The demo's table shows prices of every size. tests/unit/terminal tests what it makes of texts."""

from __future__ import annotations

from decimal import Decimal

import pytest

from replica.view import _price


@pytest.mark.parametrize(
    ("price", "shown"),
    [
        ("712000", "712,000.00"),
        ("171.6251", "171.63"),
        ("1", "1.00"),
        ("0", "0.00"),
        ("-37.63", "-37.63"),
        ("-0.5", "-0.5000"),
        ("0.012345", "0.01234"),
        ("0.0000071234567", "0.000007123"),
        ("1.23e-10", "0.0000000001230"),
        ("1e-26", "0.00000000000000000000000001000"),
    ],
)
def test_a_small_price_has_four_digits(price: str, shown: str) -> None:
    assert _price(Decimal(price)) == shown
