"""How lines become commits: numbers, limits, kept lines, forgotten symbols. Batches make no difference."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from indicators import Indicators
from lane_state import WHOLE, LaneState, Position, pack
from processor_lambda import fold as fold_
from processor_lambda.alerts import Rsi, Rule, Rules, SmaCrossover, Split, StaleFeed, VolumeSpike
from processor_lambda.fold import Fold, PositionedLine
from quotes import Action, Line, decode, encode_line
from tests.fakes.pipeline import OPEN, make_heartbeats, make_quote
from tests.support.lane_folding import DAY, MOVE, fold_batches, heartbeat, in_order, positioned
from tests.support.sizes import sized


def test_publications_are_numbered_without_gaps_across_batches() -> None:
    fold, state = Fold(Rules(())), LaneState()
    numbers = []
    for minute in range(5):
        lines = positioned([make_quote(symbol, second=minute * 60) for symbol in ("AAPL", "MSFT")], minute)
        state = fold(state, lines, Position(minute, WHOLE), {}).state
        numbers += [item.number for item in state.pending]
    assert numbers == list(range(1, 9))


def test_a_fold_ends_after_the_line_that_reaches_the_limit_of_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold_, "MAX_PUBLICATIONS", 3)
    lines = positioned([make_quote(second=minute * 60) for minute in range(10)])
    folded = Fold(Rules(()))(LaneState(), lines, Position(0, WHOLE), {})
    assert (folded.count, len(folded.state.pending), folded.state.position) == (4, 3, Position(0, 4))


def test_a_bar_keeps_its_last_line_if_asked_to() -> None:
    lines = [make_quote(second=1), make_quote(second=2, price="101"), heartbeat(60)]
    for keep, line in ((True, encode_line(lines[1])[:-1]), (False, b"")):
        folded = Fold(Rules(()), keep_lines=keep)(LaneState(), positioned(lines), Position(0, WHOLE), {})
        assert [item.bar.line for item in folded.state.pending if item.bar] == [line]


def test_a_bar_keeps_a_padded_line_without_its_padding() -> None:
    """Blanks can make a good line as long as a mebibyte."""
    quote = make_quote()
    line = encode_line(quote)[:-1]
    padded = PositionedLine(Position(0, 1), line.replace(b",", b"," + b" \t" * 10_000), quote)
    assert decode(padded.content).good[0].line == quote
    state = Fold(Rules(()), keep_lines=True)(LaneState(), [padded], Position(0, WHOLE), {}).state
    assert state.symbols["AAPL"].bar is not None
    assert decode(state.symbols["AAPL"].bar.line).good[0].line == quote
    assert len(pack(state)) < 1_000


def test_a_heartbeat_that_is_not_later_than_the_lanes_last_changes_nothing() -> None:
    later, earlier = make_heartbeats(120)[0], make_heartbeats(10)[0]
    assert fold_batches([later, earlier]).state.complete_to == later.clock


def test_a_symbol_that_was_silent_for_long_is_forgotten_and_others_are_not() -> None:
    lines = [make_quote("AAPL"), make_quote("MSFT", 29 * DAY), heartbeat(31 * DAY)]
    assert list(fold_batches(lines).state.symbols) == ["MSFT"]


def test_a_late_quote_of_a_forgotten_symbol_changes_nothing() -> None:
    bars, _, state = fold_batches([make_quote(), heartbeat(31 * DAY), make_quote(), make_quote(second=30)])
    assert len(bars) == 1
    assert state.symbols == {}


def a_quote(
    symbol: str,
    second: float,
    price: int,
    volume: int | None,
    revision: int,
    *,
    currency: str | None,
    is_open: bool,
    split: bool,
) -> Line:
    """A quote. From the third minute on, it may be one after a split. A few are in another currency."""
    is_split = split and second > 120
    made = make_quote(
        symbol,
        second,
        f"{price / 2 if is_split else price}",
        volume=volume,
        revision=revision,
        previous_close="50" if is_split else "100",
    )
    return replace(made, market_state="REGULAR" if is_open else "CLOSED", currency=currency)


def a_split(symbol: str, second: int, new: int, old: int) -> Line:
    """A declared split."""
    time = OPEN + timedelta(seconds=second)
    return Action(
        symbol=symbol,
        action="split",
        event_time=time,
        numerator=new,
        denominator=old,
        source="synthetic",
        ingest_time=time,
    )


def _after_minutes(count: int) -> Indicators:
    indicators = Indicators()
    for minute in range(-count, 0):
        indicators = indicators.advanced(OPEN + timedelta(minutes=minute), 100 + minute % 7 / 10, 100)
    return indicators


quotes = st.builds(
    a_quote,
    symbol=st.sampled_from(["AAPL", "MSFT"]),
    second=st.integers(0, 200),
    price=st.just(100) | st.integers(80, 120),
    volume=st.integers(0, 1000) | st.none(),
    revision=st.integers(0, 1),
    is_open=st.sampled_from([True, True, True, False]),
    currency=st.sampled_from([None, "USD", "USD", "USD", "EUR"]),
    split=st.booleans(),
)
declared_splits = st.builds(
    a_split,
    symbol=st.sampled_from(["AAPL", "MSFT"]),
    second=st.sampled_from([-DAY, 0, 60, 121, 180, DAY]),
    new=st.sampled_from([1, 2, 3]),
    old=st.sampled_from([1, 2, 7]),
)
lines = st.lists(quotes | quotes | st.integers(0, 240).map(heartbeat) | declared_splits, max_size=40)
EVERY_RULE: Sequence[Rule] = (
    MOVE,
    SmaCrossover(margin_percent=0),
    Rsi(above=55, below=45, cooldown_minutes=1),
    VolumeSpike(ratio=1.1, cooldown_minutes=1),
    StaleFeed(minutes=0.5, intervals=0.1, cooldown_minutes=1),
    Split(),
)
WARM = dict.fromkeys(("AAPL", "MSFT"), _after_minutes(60))
"""The indicators are known from the first bar on. Otherwise lines of four minutes would evaluate none of them."""


@pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: rule.id)
def test_random_lines_raise_alerts_of_every_rule(rule: Rule) -> None:
    """Otherwise the tests below would not test the rule."""

    def is_raised(lines: list[Line]) -> bool:
        return bool(fold_batches(in_order(lines), rules=[rule], warm=WARM).alerts)

    quick = settings(max_examples=1_000, database=None, phases=[Phase.generate])
    assert find(lines, is_raised, settings=quick, random=Random(1))


@settings(max_examples=sized(20, 100), deadline=None)
@given(lines, st.lists(st.integers(0, 40), max_size=5))
def test_batches_make_no_difference(lines: list[Line], cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(lines)]
    whole = fold_batches(lines, rules=EVERY_RULE, warm=WARM)
    cut = fold_batches(*(lines[a:b] for a, b in pairwise(edges)), rules=EVERY_RULE, warm=WARM)
    assert whole[:2] == cut[:2]
    assert (whole.state.symbols, whole.state.splits) == (cut.state.symbols, cut.state.splits)


@settings(max_examples=sized(20, 100), deadline=None)
@given(lines)
def test_a_packet_that_was_sent_twice_has_no_second_effect(lines: list[Line]) -> None:
    once = fold_batches(lines, rules=EVERY_RULE, warm=WARM)
    twice = fold_batches(lines, lines, rules=EVERY_RULE, warm=WARM)
    assert once[:2] == twice[:2]
    assert (once.state.symbols, once.state.splits) == (twice.state.symbols, twice.state.splits)
