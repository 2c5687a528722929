"""The bill so far takes what costs by the hour for the time of the test, and the rest at the rate of the quotes."""

from __future__ import annotations

import re

from smoke.bill import so_far


def dollars(text: str) -> tuple[float, ...]:
    return tuple(float(figure.replace(",", "")) for figure in re.findall(r"\$([\d.,]*\d)", text))


def test_the_parts_add_up_and_grow_with_the_time() -> None:
    ten = dollars(so_far({}, 24, 2.4, hours=10))
    hundred = dollars(so_far({}, 24, 2.4, hours=100))
    assert abs(ten[0] - ten[1] - ten[2]) < 0.02
    assert all(abs(more - 10 * less) < 0.06 for less, more in zip(ten[:3], hundred[:3], strict=True))
    assert ten[3] == hundred[3]


def test_a_stage_without_quotes_costs_what_is_fixed() -> None:
    total, fixed, by_quote, _ = dollars(so_far({}, 0, 0.0, hours=730))
    assert fixed > 10 * by_quote
    assert abs(total - fixed - by_quote) < 0.02


def test_the_parameters_of_the_stage_count() -> None:
    larger = {"Cpu": "1024", "Memory": "2048", "ShardCount": "4", "Lanes": "", "TableBilling": "PROVISIONED"}
    assert dollars(so_far(larger, 24, 2.4, hours=730))[1] > dollars(so_far({}, 24, 2.4, hours=730))[1] + 30
