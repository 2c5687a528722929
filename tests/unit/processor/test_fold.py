"""Bars, lateness and alerts: what the lines of a lane make of its state."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor_lambda.fold import fold
from processor_lambda.state import Alert, Bar, LaneState, pack, unpack
from quotes import Line
from tests.unit.processor.pipeline import make_heartbeats, make_quote

THRESHOLD = Decimal(5)


def run(*batches: Sequence[Line]) -> tuple[list[Bar], list[Alert], LaneState]:
    """Everything that some batches show, in order, and the state they leave."""
    state = LaneState()
    bars: list[Bar] = []
    alerts: list[Alert] = []
    for number, lines in enumerate(batches):
        state = fold(state, lines, number, THRESHOLD)
        bars += [item.bar for item in state.pending if item.bar]
        alerts += [item.alert for item in state.pending if item.alert]
    return bars, alerts, state


def heartbeat(second: float) -> Line:
    return make_heartbeats(second)[0]


def test_a_bar_is_the_minutes_first_highest_lowest_and_last_price() -> None:
    lines = [make_quote(second=s, price=p) for s, p in ((1, "10"), (2, "12"), (30, "9"), (59.999, "11"))]
    [bar], _, _ = run([*lines, heartbeat(60)])
    assert (bar.open, bar.high, bar.low, bar.close, bar.quotes) == (
        Decimal(10),
        Decimal(12),
        Decimal(9),
        Decimal(11),
        4,
    )


def test_a_bar_is_closed_by_a_quote_of_a_later_minute_or_by_a_heartbeat_past_its_end() -> None:
    assert [bar.minute.minute for bar in run([make_quote(second=0), make_quote(second=60)])[0]] == [30]
    assert run([make_quote(second=0), heartbeat(59.999)])[0] == []
    assert len(run([make_quote(second=0), heartbeat(60)])[0]) == 1


def test_a_quote_of_a_closed_minute_moves_nothing() -> None:
    bars, _, state = run([make_quote(second=0), heartbeat(60), make_quote(second=59, price="999"), heartbeat(120)])
    assert [bar.high for bar in bars] == [Decimal(100)]
    assert state.symbols["AAPL"].event_time == make_quote(second=0).event_time


def test_a_heartbeat_no_later_than_the_lanes_last_moves_nothing() -> None:
    early = make_heartbeats(10)[0]
    _, _, state = run([heartbeat(120), early])
    assert state.complete_to == heartbeat(120).clock  # type: ignore[union-attr]


def test_a_later_revision_at_the_newest_time_moves_the_bar() -> None:
    [bar], _, _ = run([make_quote(price="100"), make_quote(price="90", revision=1), heartbeat(60)])
    assert (bar.low, bar.close, bar.quotes) == (Decimal(90), Decimal(90), 2)


@pytest.mark.parametrize(
    ("volumes", "traded"),
    [
        ((0, 500), 500),
        ((1_000, 1_000), 0),
        ((1_000, 1_250, 1_300), 300),
        ((1_000, 990, 1_010), 20),  # a correction is no trade
        ((9_000_000, 40), 40),  # a new day starts from zero
        ((None, None), None),
        ((100, None, 150), 50),
    ],
)
def test_a_bars_volume_comes_from_the_days_cumulative_one(volumes: tuple[int | None, ...], traded: int | None) -> None:
    lines = [make_quote(second=second, volume=volume) for second, volume in enumerate(volumes)]
    [bar], _, _ = run([*lines, heartbeat(60)])
    assert bar.volume == traded


def test_volume_between_two_bars_belongs_to_the_later() -> None:
    lines = [make_quote(second=0, volume=100), make_quote(second=30, volume=150), make_quote(second=61, volume=400)]
    bars, _, _ = run([*lines, heartbeat(120)])
    assert [bar.volume for bar in bars] == [50, 250]


def test_an_alert_is_raised_by_the_first_quote_beyond_the_threshold_and_again_after_a_return() -> None:
    prices = ["100", "105", "105.01", "106", "104", "94", "93"]
    lines = [make_quote(second=s, price=p, previous_close="100") for s, p in enumerate(prices)]
    _, alerts, _ = run(lines)
    assert [(alert.timestamp[17:19], alert.subject) for alert in alerts] == [
        ("02", "AAPL moved +5.01% to 105.01"),
        ("05", "AAPL moved -6.00% to 94"),
    ]
    assert alerts[0].id == "threshold:AAPL:2026-11-23T14:30:02.000Z"


def test_an_alert_is_raised_on_each_side_of_the_threshold() -> None:
    prices = ["107", "93", "94", "108", "100", "100"]
    _, alerts, _ = run([make_quote(second=s, price=p, previous_close="100") for s, p in enumerate(prices)])
    assert [alert.subject for alert in alerts] == [
        "AAPL moved +7.00% to 107",
        "AAPL moved -7.00% to 93",
        "AAPL moved +8.00% to 108",
    ]


def test_a_change_that_is_not_known_neither_raises_nor_ends_an_anomaly() -> None:
    lines = [
        make_quote(second=0, price="110", previous_close="100"),
        make_quote(second=1, price="110"),
        make_quote(second=2, price="110", previous_close="0"),
        make_quote(second=3, price="110", previous_close="100"),
    ]
    assert len(run(lines)[1]) == 1


def test_publications_are_numbered_without_gaps_across_batches() -> None:
    state = LaneState()
    numbers = []
    for minute in range(5):
        lines = [make_quote(symbol, second=minute * 60) for symbol in ("AAPL", "MSFT")]
        state = fold(state, lines, minute, THRESHOLD)
        numbers += [item.number for item in state.pending]
    assert numbers == list(range(1, 9))


quotes = st.builds(
    make_quote,
    symbol=st.sampled_from(["AAPL", "MSFT"]),
    second=st.integers(0, 200),
    price=st.integers(80, 120).map(str),
    volume=st.integers(0, 1000) | st.none(),
    revision=st.integers(0, 1),
    previous_close=st.just("100") | st.none(),
)
lines = st.lists(quotes | st.integers(0, 240).map(heartbeat), max_size=40)


@given(lines, st.lists(st.integers(0, 40), max_size=5))
def test_batches_make_no_difference(lines: list[Line], cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(lines)]
    whole, cut = run(lines), run(*(lines[a:b] for a, b in pairwise(edges)))
    assert whole[:2] == cut[:2]
    assert whole[2].symbols == cut[2].symbols


@given(lines)
def test_a_packet_that_was_sent_twice_is_absorbed(lines: list[Line]) -> None:
    once, twice = run(lines), run(lines, lines)
    assert once[:2] == twice[:2]
    assert once[2].symbols == twice[2].symbols


@given(lines)
def test_a_state_survives_packing(lines: list[Line]) -> None:
    _, _, state = run(lines)
    assert unpack(pack(state)) == state


def test_a_state_of_a_newer_version_is_not_read() -> None:
    newer = zlib.compress(msgspec.msgpack.encode({"version": 2, "last_sequence": "1", "state": {}}))
    with pytest.raises(ValueError, match="deploy the newer one"):
        unpack(newer)


def test_a_lane_of_400_symbols_stays_far_under_an_items_400_kb() -> None:
    lines = [make_quote(f"SYM{n}", second=n / 10, price=f"{n}.123456", volume=10**9 + n) for n in range(400)]
    _, _, state = run(lines)
    assert len(pack(state)) < 100_000
