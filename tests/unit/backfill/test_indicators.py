"""The indicators of stored minutes follow from the minutes before them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from backfill.chunks import SourceBar
from backfill.indicators import refolded
from lane_state import Split
from processor_lambda.rows import Row
from tests.fakes.backfilled_market import stream_row

START = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


def rows(closes: list[str]) -> list[Row]:
    found = []
    for number, close in enumerate(closes):
        price = Decimal(close)
        found.append(stream_row("AAPL", SourceBar(START + timedelta(minutes=number), price, price, price, price, 100)))
    return found


def split(minute: int, new: int, old: int = 1) -> Split:
    return Split(START + timedelta(minutes=minute), new, old, is_declared=True, is_applied=True)


def test_only_the_rows_from_a_minute_on_are_changed() -> None:
    changed = refolded(rows(["10"] * 30), START + timedelta(minutes=20), [])
    assert [row["key"] for row in changed] == [row["key"] for row in rows(["10"] * 30)[20:]]
    assert all(row["sma_20"] == 10 for row in changed)


def test_rows_that_have_their_indicators_already_are_left_out() -> None:
    stored = rows(["10", "11", "12"] * 10)
    changed = refolded(stored, START, [])
    known = {row["key"]: row for row in changed}
    assert refolded([known.get(row["key"], row) for row in stored], START, []) == []


def test_an_indicator_that_does_not_follow_from_the_bars_is_removed() -> None:
    stored = rows(["10", "11"])
    stored[1]["rsi_14"] = Decimal(50)
    (changed,) = refolded(stored, START, [])
    assert "rsi_14" not in changed
    assert changed["close"] == 11


def test_bars_before_a_split_count_in_new_shares() -> None:
    stored = rows(["40"] * 20 + ["10"] * 10)
    with_split = {row["key"]: row for row in refolded(stored, START, [split(20, 4)])}
    last = with_split[stored[-1]["key"]]
    assert last["sma_20"] == 10
    assert last["bollinger_upper"] == 10
    without = {row["key"]: row for row in refolded(stored, START, [])}
    assert without[stored[-1]["key"]]["sma_20"] == 25


def test_a_split_before_the_first_bar_changes_nothing() -> None:
    stored = rows(["10"] * 25)
    assert refolded(stored, START, [split(-5, 4)]) == refolded(stored, START, [])


def test_an_impossible_split_changes_nothing() -> None:
    stored = rows(["10"] * 25)
    assert refolded(stored, START, [split(5, 10**9)]) == refolded(stored, START, [])
