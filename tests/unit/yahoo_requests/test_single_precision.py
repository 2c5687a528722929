from __future__ import annotations

import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yahoo_requests.single_precision import is_same, shortest


def single(value: float) -> float:
    (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    return float(rounded)


@pytest.mark.parametrize("text", ["170.33", "0.0001234", "1.08436", "110429.42", "16777.21", "-37.63", "131071.37"])
def test_a_price_with_cents_comes_back_as_it_was(text: str) -> None:
    assert Decimal(shortest(single(float(text)))) == Decimal(text)


def test_a_dear_price_loses_cents() -> None:
    assert shortest(single(740_000.05)) == "740000.06"
    assert is_same(Decimal("740000.05"), Decimal("740000.06"))


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_shortest_decimal_is_the_same_in_single_precision(value: float) -> None:
    text = shortest(value)

    assert single(float(text)) == value
    assert len(Decimal(text).normalize().as_tuple().digits) <= 9


@given(st.integers(1, 13_107_199))
def test_whole_cents_below_131072_are_exact(cents: int) -> None:
    exact = Decimal(cents) / 100

    assert Decimal(shortest(single(float(exact)))) == exact
    assert not is_same(exact, exact + Decimal("0.02"))
