"""When a price move raises an alert: at each side of the threshold, again after a return, again on a new day."""

from __future__ import annotations

from tests.fakes.pipeline import make_quote
from tests.support.lane_folding import fold_batches


def test_an_alert_is_raised_by_the_first_quote_beyond_the_threshold_and_again_after_a_return() -> None:
    prices = ["100", "105", "105.01", "106", "104", "94", "93"]
    lines = [make_quote(second=s, price=p, previous_close="100") for s, p in enumerate(prices)]
    alerts = fold_batches(lines).alerts
    assert [(alert.timestamp[17:19], alert.subject) for alert in alerts] == [
        ("02", "AAPL moved +5.01% to 105.01"),
        ("05", "AAPL moved -6.00% to 94"),
    ]
    assert alerts[0].id == "price_move:AAPL:2026-11-23T14:30:02.000Z"


def test_an_alert_is_raised_on_each_side_of_the_threshold() -> None:
    prices = ["107", "93", "94", "108", "100", "100"]
    lines = [make_quote(second=s, price=p, previous_close="100") for s, p in enumerate(prices)]
    assert [alert.subject for alert in fold_batches(lines).alerts] == [
        "AAPL moved +7.00% to 107",
        "AAPL moved -7.00% to 93",
        "AAPL moved +8.00% to 108",
    ]


def test_a_second_day_beyond_the_threshold_raises_another_alert() -> None:
    friday = [make_quote(second=s, price="107", previous_close="100") for s in (0, 1)]
    monday = [make_quote(second=3 * 86_400 + s, price="115", previous_close="107") for s in (0, 1)]
    assert [alert.subject for alert in fold_batches([*friday, *monday]).alerts] == [
        "AAPL moved +7.00% to 107",
        "AAPL moved +7.48% to 115",
    ]


def test_a_market_that_never_closes_has_utc_days() -> None:
    midnight = 34_200
    sunday = make_quote(second=midnight - 60, price="107", previous_close="100")
    monday = make_quote(second=midnight + 60, price="115", previous_close="107")
    assert len(fold_batches([sunday, monday]).alerts) == 2


def test_a_correction_of_the_previous_close_within_the_day_raises_no_other_alert() -> None:
    closes = ["100", "100.1", "100", "100.1"]
    lines = [make_quote(second=s, price="107", previous_close=close) for s, close in enumerate(closes)]
    assert len(fold_batches(lines).alerts) == 1


def test_an_unknown_change_neither_raises_nor_ends_an_anomaly() -> None:
    lines = [
        make_quote(second=0, price="110", previous_close="100"),
        make_quote(second=1, price="110"),
        make_quote(second=2, price="110", previous_close="0"),
        make_quote(second=3, price="110", previous_close="100"),
    ]
    assert len(fold_batches(lines).alerts) == 1
