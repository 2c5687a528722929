"""What a viewer costs: requests above all, and reads that viewers share."""

from __future__ import annotations

import pytest

from costs import prices
from costs.bill import Plan, bill, total
from costs.expected_usage import Setup
from costs.viewers import Viewers, views_of

PRICES = prices.read()
SETUP = Setup(symbols=100, interval_seconds=10, lanes=4, shards=1)


def viewers_of(number: int, hours: float = 1) -> dict[str, float]:
    """The lines of viewers in a bill, in dollars."""
    priced = bill(SETUP, Plan(hours="always", viewers=Viewers(number=number, hours=hours)), PRICES)
    return {line.name: line.usd for line in priced.lines if line.kind == "viewers"}


def test_without_viewers_nothing_is_served_and_nothing_is_paid() -> None:
    assert viewers_of(0) == {}


def test_a_viewer_asks_once_a_second_and_pays_for_each_request_twice() -> None:
    lines = viewers_of(1)
    assert lines["CloudFront requests"] == pytest.approx(3600 * PRICES.usd("cloudfront_request"))
    assert lines["API Gateway requests"] == pytest.approx(3600 * PRICES.usd("http_api_request"))
    assert sum(lines.values()) - lines["CloudWatch alarms of the API"] < 0.02


def test_viewers_of_the_same_hours_share_the_reads_of_the_states() -> None:
    """One instance of the function reads each lane once a second, for everybody who asks it."""
    one, ten = (views_of(SETUP, Viewers(number=number)) for number in (1, 10))
    assert ten.requests == 10 * one.requests
    assert one.read_units == ten.read_units == 168 * 3600 * SETUP.lanes * 0.5


def test_more_viewers_than_one_instance_serves_read_more_often() -> None:
    crowd, few = (views_of(SETUP, Viewers(number=number)).read_units for number in (200, 10))
    assert few < crowd < 20 * few


def test_answers_that_have_not_changed_are_short() -> None:
    slow, fast = (
        views_of(Setup(symbols=100, interval_seconds=seconds, lanes=4, shards=1), Viewers(number=1)).sent_bytes
        for seconds in (10, 1)
    )
    assert slow < fast / 3


def test_viewers_change_no_other_line() -> None:
    without, with_viewers = (
        bill(SETUP, Plan(hours="always", viewers=Viewers(number=number)), PRICES) for number in (0, 3)
    )
    for kind in ("fixed", "quotes"):
        assert total(without.lines, kind) == total(with_viewers.lines, kind)
    assert with_viewers.usd > without.usd
