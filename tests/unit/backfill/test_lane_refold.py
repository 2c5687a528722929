"""The indicators in a lane's live state follow from its stored bars, and the stream function goes on from them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from backfill import lane_refold
from backfill.lane_refold import LaneIsBusy, refold
from bars.keys import ONE_MINUTE, bar_key, start_of
from indicators import Indicators, unpack
from lane_state import ANOTHER_STREAM, Bar, LaneState, Split, move
from processor_lambda.checkpoints import restored
from processor_lambda.errors import CommitConflict
from processor_lambda.rows import Row, bar_row
from processor_lambda.warmup import warmed_up
from quotes import Action, lane_of, partition_key
from tests.fakes.lane_states import MemoryLaneStates
from tests.fakes.pipeline import LANES, OPEN, Shard, make_heartbeats, make_processor, make_quote
from tests.fakes.processor_ports import MemoryStateTable, World

SYMBOL, OTHER = "AAPL", "MSFT"
LANE = partition_key(lane_of(SYMBOL, LANES), LANES)
MINUTES = 6
"""How many minutes the stream has. `BACKFILLED` are minutes before it."""
BACKFILLED = range(-90, 0)


def row_of(minute: int, close: str, volume: int = 100) -> Row:
    start = OPEN + timedelta(minutes=minute)
    price = Decimal(close)
    bar = Bar(
        symbol=SYMBOL,
        minute=start,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=volume,
        quotes=0,
        ingest_time=start,
    )
    return bar_row(bar, ttl_days=0)


def store(world: World, rows: Sequence[Row]) -> None:
    world.bar_rows |= {(str(row["symbol"]), str(row["key"])): row for row in rows}


def backfill(world: World, price: int = 100) -> None:
    """The bars that a backfill found before the first quote."""
    store(world, [row_of(minute, f"{price + minute % 7}", 100 + minute % 5) for minute in BACKFILLED])


def put_minutes(shard: Shard, minutes: range, price: str = "100") -> None:
    for minute in minutes:
        quotes = [
            make_quote(symbol, minute * 60 + 5, f"{price}.{minute % 9}", volume=minute * 50)
            for symbol in (SYMBOL, OTHER)
        ]
        shard.put_lines(quotes)
        shard.put_lines(make_heartbeats(minute * 60 + 60))


def state_of(world: World) -> LaneState:
    stored = world.state_table.stored(LANE)
    state = restored(stored.state, stored.checkpoint)
    assert state is not None
    return state


def indicators_of(world: World) -> Indicators:
    return unpack(state_of(world).indicators[SYMBOL])


def stored_fold(world: World, splits: Sequence[Split] = ()) -> Indicators:
    return warmed_up([row for key, row in sorted(world.bar_rows.items()) if key[0] == SYMBOL], splits)


def run(world: World, splits: Sequence[Split] = ()) -> bool:
    return refold(MemoryLaneStates(world), SYMBOL, world.bars, splits, LANES)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def shard() -> Shard:
    shard = Shard()
    put_minutes(shard, range(MINUTES))
    return shard


def test_a_cold_lane_goes_on_as_if_the_bars_had_been_there_from_the_start(world: World, shard: Shard) -> None:
    processor = make_processor(world)
    processor.process(shard.records)
    assert "sma_50" not in indicators_of(world).values()
    backfill(world)

    assert run(world)

    assert indicators_of(world) == stored_fold(world)
    assert "sma_50" in indicators_of(world).values()
    put_minutes(shard, range(MINUTES, MINUTES + 3))
    processor.process(shard.records)
    warm = World()
    backfill(warm)
    make_processor(warm).process(shard.records)
    assert indicators_of(world) == indicators_of(warm)
    last = (SYMBOL, bar_key(ONE_MINUTE, OPEN + timedelta(minutes=MINUTES + 2)))
    assert world.bar_rows[last] == warm.bar_rows[last]


def test_everything_else_of_a_lane_stays(world: World, shard: Shard) -> None:
    make_processor(world).process(shard.records)
    backfill(world)
    before = state_of(world)
    run(world)
    after = state_of(world)
    assert after.edits == before.edits + 1
    others = {symbol: packed for symbol, packed in before.indicators.items() if symbol != SYMBOL}
    assert after.indicators == others | {SYMBOL: after.indicators[SYMBOL]}
    unchanged = {"indicators": before.indicators, "edits": 0, "log": before.log, "checkpoint": before.checkpoint}
    assert replace(after, **unchanged) == before


def test_a_second_time_changes_nothing(world: World, shard: Shard) -> None:
    make_processor(world).process(shard.records)
    backfill(world)
    assert run(world)
    states = world.states.copy()
    assert not run(world)
    assert world.states == states


def test_a_lane_without_the_symbol_or_a_symbol_without_stored_bars_stays(world: World, shard: Shard) -> None:
    backfill(world)
    assert not run(world)
    make_processor(world).process(shard.records)
    world.bar_rows.clear()
    states = world.states.copy()
    assert not run(world)
    assert world.states == states


def test_a_copy_that_the_function_has_in_memory_is_read_again(world: World, shard: Shard) -> None:
    processor = make_processor(world)
    processor.process(shard.records)
    backfill(world)
    run(world)
    put_minutes(shard, range(MINUTES, MINUTES + 1))
    assert processor.process(shard.records[-4:]).commit_conflicts == 1
    assert indicators_of(world) == stored_fold(world)


def test_it_waits_until_the_bars_of_a_commit_are_stored_so_that_their_rows_can_be_corrected(
    world: World, shard: Shard
) -> None:
    make_processor(world).process(shard.records[:-4])
    backfill(world)
    edited_before: list[int] = []
    read, rival = MemoryLaneStates.read, make_processor(world)

    def pass_point(call: str) -> None:
        if call == "bars.put":  # the bar is committed and not stored
            with suppress(LaneIsBusy), pytest.MonkeyPatch.context() as patch:
                patch.setattr(lane_refold, "ATTEMPTS", lane_refold.PATIENT_ATTEMPTS)
                run(world)
            edited_before.append(read(MemoryLaneStates(world), LANE).state.edits)

    world.fault = pass_point
    rival.process(shard.records)
    assert len(edited_before) > 0
    assert set(edited_before) == {0}
    world.fault = lambda _: None
    assert run(world)
    assert indicators_of(world) == stored_fold(world)


@pytest.mark.parametrize("dies_at", ["bars.put", "states.raise_mark"])
def test_bars_that_are_still_to_be_published_count(world: World, shard: Shard, dies_at: str) -> None:
    processor = make_processor(world)
    processor.process(shard.records[:-4])

    def die(call: str) -> None:
        if call == dies_at:
            raise TimeoutError

    world.fault = die
    for record in shard.records[-4:]:
        with suppress(TimeoutError):
            make_processor(world).process([record])
    world.fault = lambda _: None
    backfill(world)
    run(world)
    edited = indicators_of(world)
    make_processor(world).process(shard.records)
    assert len(edited.closes) == len(indicators_of(world).closes)
    assert edited == indicators_of(world) == stored_fold(world)


def test_a_bar_that_was_corrected_after_it_was_published_counts_as_it_is_stored(world: World, shard: Shard) -> None:
    make_processor(world).process(shard.records)
    backfill(world)
    assert any(item.bar for item in state_of(world).pending), "the state still has the bar as it was"
    store(world, [row_of(MINUTES - 1, "250")])
    run(world)
    assert indicators_of(world).closes[-1] == 250


@pytest.mark.parametrize("is_open", [True, False])
def test_stored_bars_of_minutes_that_the_function_has_not_closed_do_not_count(
    world: World, shard: Shard, *, is_open: bool
) -> None:
    if is_open:
        shard.put_lines([make_quote(SYMBOL, MINUTES * 60 + 1, "100")])
    make_processor(world).process(shard.records)
    backfill(world)
    store(world, [row_of(minute, "999") for minute in range(MINUTES, MINUTES + 3)])
    run(world)
    last = indicators_of(world)
    assert last.minute == OPEN + timedelta(minutes=MINUTES - 1)
    assert 999 not in last.closes


SPLIT = Action(
    symbol=SYMBOL,
    action="split",
    event_time=OPEN + timedelta(minutes=MINUTES),
    numerator=4,
    denominator=1,
    source="synthetic",
    ingest_time=OPEN,
)


def as_split(action: Action = SPLIT) -> Split:
    return Split(action.event_time, action.numerator or 1, action.denominator or 1, is_declared=True, is_applied=False)


@pytest.mark.parametrize("known", [True, False], ids=["declared to the lane too", "declared to the backfill alone"])
@pytest.mark.parametrize("declared", [True, False], ids=["declared to the backfill", "not declared to it"])
def test_bars_before_a_split_count_in_new_shares_once(
    world: World, shard: Shard, *, known: bool, declared: bool
) -> None:
    if known:
        shard.put_lines([SPLIT])
    put_minutes(shard, range(MINUTES, MINUTES + 4), price="25")
    make_processor(world).process(shard.records)
    applied = state_of(world).symbols[SYMBOL].split
    assert (applied is not None) is known
    if not (known or declared):
        return  # nobody knows of it, so it counts as a price move
    backfill(world)
    run(world, [as_split()] if declared else [])
    closes = indicators_of(world).closes
    assert 24 < min(closes) < max(closes) < 27
    assert indicators_of(world) == stored_fold(world, [as_split()])


@pytest.mark.parametrize("declared", [True, False])
def test_a_split_that_is_still_to_come_rescales_the_indicators_when_the_function_applies_it(
    world: World, shard: Shard, *, declared: bool
) -> None:
    shard.put_lines([SPLIT])
    make_processor(world).process(shard.records)
    backfill(world)
    run(world, [as_split()] if declared else [])
    assert min(indicators_of(world).closes) > 99
    put_minutes(shard, range(MINUTES, MINUTES + 1), price="25")
    make_processor(world).process(shard.records[-4:])
    closes = indicators_of(world).closes
    assert 24 < min(closes) < max(closes) < 27


def test_a_split_that_prices_showed_and_the_source_declared_for_another_time_counts_once(
    world: World, shard: Shard
) -> None:
    for minute in range(MINUTES, MINUTES + 3):
        price, close = "25", "25.02"
        shard.put_lines([make_quote(SYMBOL, minute * 60 + 5, price, previous_close=close)])
        shard.put_lines(make_heartbeats(minute * 60 + 60))
    first = [make_quote(SYMBOL, -60, "100", previous_close="100.1")]
    records = Shard()
    records.put_lines(first)
    for record in shard.records:
        records.put(record.data, record.partition_key)
    make_processor(world).process(records.records)
    inferred = state_of(world).symbols[SYMBOL].split
    assert inferred is not None
    assert not inferred.is_declared
    backfill(world)
    run(world, [replace(as_split(), time=inferred.time - timedelta(hours=14))])
    closes = indicators_of(world).closes
    assert 24 < min(closes) < max(closes) < 27


def test_an_older_split_counts_beside_the_one_that_the_lane_knows(world: World, shard: Shard) -> None:
    make_processor(world).process(shard.records)
    backfill(world, price=200)
    long_ago = replace(as_split(), new=2, old=1, time=start_of(bar_key(ONE_MINUTE, OPEN)))
    run(world, [long_ago])
    assert 99 < min(indicators_of(world).closes) < max(indicators_of(world).closes) < 105


def test_a_lane_that_is_always_committed_in_between_is_left_alone_after_some_attempts(
    world: World, shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_processor(world).process(shard.records)
    backfill(world)
    attempts: list[str] = []

    def conflict(_: MemoryLaneStates, lane: str, *__: LaneState) -> None:
        attempts.append(lane)
        raise CommitConflict(lane)

    monkeypatch.setattr(MemoryLaneStates, "commit", conflict)
    with pytest.raises(LaneIsBusy, match=rf"the state of {LANE} still has the earlier indicators of {SYMBOL}.*again"):
        run(world)
    assert attempts == [LANE] * lane_refold.ATTEMPTS


def test_an_edit_is_made_of_what_the_function_committed_in_between(world: World, shard: Shard) -> None:
    make_processor(world).process(shard.records[:-4])
    backfill(world)
    before, rival = world.bars.before, make_processor(world)
    raced = iter([True])

    class Raced:
        def before(self, *arguments: object) -> list[Row]:
            rows: list[Row] = before(*arguments)  # type: ignore[arg-type]
            if next(raced, False):
                rival.process(shard.records)
            return rows

    assert refold(MemoryLaneStates(world), SYMBOL, Raced(), (), LANES)
    assert indicators_of(world) == stored_fold(world)
    assert indicators_of(world).minute == OPEN + timedelta(minutes=MINUTES - 1)


class EarlierStateTable(MemoryStateTable):
    """The table as a release uses it that does not know edits: it neither compares nor keeps them."""

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        edits = self.stored(lane).state.edits
        return super().commit(lane, replace(state, edits=0), replace(read, edits=edits))


@pytest.mark.parametrize("is_warm", [True, False], ids=["it has a copy from before", "it reads the edited state"])
def test_an_earlier_release_that_is_rolled_back_to_undoes_an_edit_at_most(
    world: World, shard: Shard, *, is_warm: bool
) -> None:
    make_processor(world).process(shard.records[:-4])
    world.state_table = EarlierStateTable(world)
    earlier = make_processor(world)
    if is_warm:
        earlier.process(shard.records[-4:])
    backfill(world)
    run(world)
    put_minutes(shard, range(MINUTES, MINUTES + 1))
    earlier.process(shard.records)
    assert state_of(world).edits == 0
    assert (indicators_of(world) == stored_fold(world)) is not is_warm

    world.state_table = MemoryStateTable(world)
    put_minutes(shard, range(MINUTES + 1, MINUTES + 2))
    make_processor(world).process(shard.records)
    assert run(world) is is_warm
    assert indicators_of(world) == stored_fold(world)
    undisturbed = World()
    make_processor(undisturbed).process(shard.records)
    prices = [{name: row[name] for name in ("close", "volume")} for row in undisturbed.bar_rows.values()]
    stream = [world.bar_rows[key] for key in undisturbed.bar_rows]
    assert [{name: row[name] for name in ("close", "volume")} for row in stream] == prices


def test_an_edited_lane_goes_on_after_an_adoption(world: World, shard: Shard) -> None:
    make_processor(world).process(shard.records)
    backfill(world)
    run(world)
    world.states = {lane: move(packed, ANOTHER_STREAM) for lane, packed in world.states.items()}
    assert state_of(world).edits == 1
    put_minutes(shard, range(MINUTES, MINUTES + 1))
    new = [replace(record, sequence_number=9 + at) for at, record in enumerate(shard.records[-4:])]
    make_processor(world).process(new)
    assert indicators_of(world) == stored_fold(world)
