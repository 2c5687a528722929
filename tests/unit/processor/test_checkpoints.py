"""Checkpoints of a lane's indicators: when they are written, and that they never change what a lane remembers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from datetime import timedelta
from random import Random
from unittest.mock import patch

import pytest
from msgspec.structs import replace

import indicators
from aws_requests import Unavailable
from indicators import Indicators
from lane_state import Checkpoint, LaneState, LogEntry, unpack, unpack_checkpoint
from processor_lambda.checkpoints import (
    ENTRY_BYTES,
    SYMBOL_BYTES,
    Carried,
    after_checkpoint,
    after_commit,
    is_due,
    restored,
)
from processor_lambda.errors import SettingsError
from processor_lambda.ports import Stored
from processor_lambda.processor import Processor
from processor_lambda.settings import from_environment
from quotes import Line
from tests.fakes.pipeline import OPEN, SETTINGS, Shard, make_heartbeats, make_processor, make_quote
from tests.fakes.processor_ports import World
from tests.support.sizes import sized

SYMBOLS = ("AAPL", "MSFT", "NVDA")
ENVIRONMENT = {
    name.upper(): str(getattr(SETTINGS, name))
    for name in (
        "quotes_table",
        "bars_table",
        "state_table",
        "alerts_table",
        "archive_bucket",
        "alerts_topic_arn",
        "quarantine_queue_url",
        "rules_key",
    )
}
MINUTES = 6
SPLIT_MINUTE = 4


@pytest.fixture(autouse=True)
def eager() -> Iterator[None]:
    """Checkpoints are due after each minute that closes."""
    with patch.multiple("processor_lambda.checkpoints", DYNAMODB_WRITE_UNIT_BYTES=1, SYMBOL_BYTES=1):
        yield


@pytest.fixture
def shard() -> Shard:
    """Some minutes of quotes, in which a symbol splits."""
    shard, rng = Shard(), Random(1)
    prices = dict.fromkeys(SYMBOLS, 200.0)
    for minute in range(MINUTES):
        lines: list[Line] = []
        for symbol in SYMBOLS:
            is_split = (symbol, minute) >= ("NVDA", SPLIT_MINUTE)
            prices[symbol] *= 1 + rng.gauss(0, 0.001)
            price = f"{prices[symbol] / (4 if is_split else 1):.2f}"
            close = "50" if is_split else "200"
            lines.append(make_quote(symbol, minute * 60 + 5, price, volume=minute * 10, previous_close=close))
        shard.put_lines(lines)
        shard.put_lines(make_heartbeats(minute * 60 + 60))
    return shard


def processor_of(world: World, version: int = 2) -> Processor:
    return make_processor(world, settings=replace(SETTINGS, state_version=version))


def one_pass(shard: Shard) -> World:
    world = World()
    processor_of(world, 1).process(shard.records)
    return world


def state_of(world: World, lane: str) -> LaneState:
    """The state of a lane, without what depends on the batches and on the version."""
    packed = world.checkpoints.get(lane)
    state = restored(unpack(world.states[lane]), None if packed is None else unpack_checkpoint(packed))
    assert state is not None
    return replace(state, published=state.last_number, pending=(), checkpoint=0, log=None)


def assert_same(world: World, expected: World) -> None:
    assert world.bar_rows == expected.bar_rows
    assert world.rows == expected.rows
    assert {alert.id for alert in world.alerts} == {alert.id for alert in expected.alerts}
    for lane in expected.states:
        assert state_of(world, lane) == state_of(expected, lane)


@pytest.mark.parametrize("seed", range(sized(5, 200)))
def test_states_are_the_same_in_whichever_version_and_however_often_they_are_written_and_read(
    shard: Shard, seed: int
) -> None:
    rng, world = Random(seed), World()
    processor = processor_of(world)
    longest = rng.choice((0, 3, 1_000))
    with patch.multiple("processor_lambda.checkpoints", SYMBOL_BYTES=rng.choice((1, 40)), MAX_LOG_ENTRIES=longest):
        for record in shard.records:
            if rng.random() < 0.3:
                processor = processor_of(world, rng.choice((1, 2)))
            processor.process([record])
    assert_same(world, one_pass(shard))


def test_the_item_of_a_lane_has_the_log_and_the_checkpoint_the_indicators(shard: Shard) -> None:
    world = World()
    processor = processor_of(world)
    for record in shard.records:
        processor.process([record])
    for lane, packed in world.states.items():
        state, checkpoint = unpack(packed), unpack_checkpoint(world.checkpoints[lane])
        assert checkpoint is not None
        assert state.log is not None
        assert state.indicators == {}
        assert state.last_entry == checkpoint.number
        assert checkpoint.indicators.keys() == state.symbols.keys()


def test_version_1_has_no_checkpoint(shard: Shard) -> None:
    world = one_pass(shard)
    assert world.checkpoints == {}
    assert all(unpack(packed).log is None for packed in world.states.values())


@pytest.mark.parametrize(("first", "then"), [(1, 2), (2, 1), (2, 2)], ids=["upgrade", "rollback", "no change"])
def test_a_function_that_ends_at_any_call_while_the_version_changes_loses_nothing(
    shard: Shard, first: int, then: int
) -> None:
    expected = one_pass(shard)
    cut = len(shard.records) // 2
    for end in range(0, 1_000, sized(40, 1)):
        world = World()
        before = processor_of(world, first)
        for record in shard.records[:cut]:
            before.process([record])
        calls = iter(range(end))

        def die(_: str, calls: Iterator[int] = calls) -> None:
            if next(calls, None) is None:
                raise TimeoutError

        world.fault = die
        after = processor_of(world, then)
        ends_early = False
        try:
            for record in shard.records[cut:]:
                after.process([record])
        except TimeoutError:
            ends_early = True
        world.fault = lambda _: None
        for version in (first, then):
            processor_of(world, version).process(shard.records)
        assert_same(world, expected)
        if not ends_early:
            return
    pytest.fail("there were more calls than the test tries")


def test_a_lane_is_read_again_if_its_checkpoint_was_replaced_while_it_was_read(shard: Shard) -> None:
    world = World()
    processor = processor_of(world)
    for record in shard.records[:8]:
        processor.process([record])
    earlier = {lane: unpack_checkpoint(packed) for lane, packed in world.checkpoints.items()}
    for record in shard.records[8:-4]:
        processor.process([record])
    read = world.state_table.read

    def torn(lanes: Collection[str]) -> dict[str, Stored]:
        return {
            lane: replace(stored, checkpoint=earlier.pop(lane, stored.checkpoint))
            for lane, stored in read(lanes).items()
        }

    with patch.object(world.state_table, "read", torn):
        processor_of(world).process(shard.records[-4:])
    assert not earlier
    assert_same(world, one_pass(shard))


@pytest.mark.parametrize("damage", ["deleted", "damaged", "emptied"])
def test_a_lane_without_its_checkpoint_fails_with_what_to_do(shard: Shard, damage: str) -> None:
    world = World()
    processor = processor_of(world)
    for record in shard.records[:-4]:
        processor.process([record])
    for lane in list(world.checkpoints):
        if damage == "deleted":
            del world.checkpoints[lane]
        else:
            world.checkpoints[lane] = b"" if damage == "emptied" else b"damaged"
    states = world.states.copy()
    with pytest.raises(Unavailable, match=r"lane-\d\d-of-02#indicators of the state table do not fit.*restore both"):
        processor_of(world).process(shard.records[-4:])
    assert world.states == states


def test_a_lane_without_both_items_starts_from_its_stored_bars(shard: Shard) -> None:
    world = World()
    processor_of(world).process(shard.records[:-4])
    world.states.clear()
    world.checkpoints.clear()
    processor_of(world).process(shard.records[-4:])
    assert [bar["sma_5"] for bar in world.bar_rows.values() if "sma_5" in bar]
    assert world.bar_rows.keys() == one_pass(shard).bar_rows.keys()


def test_the_numbers_go_on_after_the_item_of_a_lane_is_lost(shard: Shard) -> None:
    world = World()
    processor = processor_of(world)
    for record in shard.records[:-4]:
        processor.process([record])
    numbers = checkpoint_numbers(world)
    world.states.clear()
    processor = processor_of(world)
    for record in shard.records[-4:]:
        processor.process([record])
    assert all(number > numbers[lane] for lane, number in checkpoint_numbers(world).items())
    for lane in world.states:
        assert state_of(world, lane).symbols.keys() == state_of(one_pass(shard), lane).symbols.keys()


def test_what_is_pending_is_published_after_the_item_of_a_lane_is_lost(shard: Shard) -> None:
    """The mark of the lane is not lost. New publications have numbers above it, or they would count as published."""
    world = World()
    processor_of(world).process(shard.records[:-4])
    world.states.clear()

    def die(call: str) -> None:
        if call == "states.commit done":
            raise TimeoutError

    world.fault = die
    for record in shard.records[-4:]:
        with suppress(TimeoutError):
            processor_of(world).process([record])
    world.fault = lambda _: None
    processor_of(world).process(shard.records)
    assert world.bar_rows.keys() == one_pass(shard).bar_rows.keys()


def checkpoint_numbers(world: World) -> dict[str, int]:
    checkpoints = {lane: unpack_checkpoint(packed) for lane, packed in world.checkpoints.items()}
    return {lane: checkpoint.number for lane, checkpoint in checkpoints.items() if checkpoint is not None}


def test_the_item_holds_the_indicators_if_the_log_is_too_long(shard: Shard) -> None:
    world = World()
    with patch.multiple("processor_lambda.checkpoints", SYMBOL_BYTES=10_000, MAX_LOG_ENTRIES=4):
        processor = processor_of(world)
        for record in shard.records:
            processor.process([record])
            assert all(len(unpack(packed).log or ()) <= 4 for packed in world.states.values())
    assert_same(world, one_pass(shard))


def test_a_checkpoint_that_is_late_by_a_rollback_and_an_upgrade_is_not_stored(shard: Shard) -> None:
    """Its number is higher than that of the stored one, but it counts entries of a log that has ended since."""
    world, records = World(), shard.records
    late = processor_of(world)
    at, written, replaced = 0, 0, 0

    def race(call: str) -> None:
        nonlocal written, replaced
        if call == "states.write_checkpoint":
            written += 1
            if written == 3:  # each of the two lanes has a first checkpoint
                processor_of(world, 1).process(records[: at + 5])
                newer = processor_of(world)
                for record in records[at + 5 : at + 9]:
                    newer.process([record])
                replaced = max(checkpoint_numbers(world).values())

    world.fault = race
    with patch.multiple("processor_lambda.checkpoints", SYMBOL_BYTES=100):
        while not replaced:
            late.process([records[at]])
            at += 1
        processor_of(world).process(records)
    assert_same(world, one_pass(shard))


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6])
def test_a_checkpoint_is_used_if_it_is_within_the_log_and_refused_otherwise(number: int) -> None:
    """The item was read at a moment when its log had the entries 3 to 5, after the checkpoint 2."""
    log = tuple(LogEntry("AAPL", OPEN + timedelta(minutes=minute), 100.0 + minute, minute) for minute in range(1, 6))
    steps = [Indicators()]
    for entry in log:
        steps.append(steps[-1].advanced(entry.minute, entry.close, entry.volume))
    packed = [{"AAPL": indicators.pack(step)} for step in (*steps, steps[-1])]
    read = restored(LaneState(checkpoint=2, log=log[2:]), Checkpoint(number, packed[number]))
    if 2 <= number <= 5:
        assert read == LaneState(checkpoint=number, log=log[number:], indicators=packed[5])
    else:
        assert read is None


@pytest.mark.parametrize(("commits", "entries", "units"), [(30, 320, 94), (12, 25, 8), (60, 25, 8)])
def test_checkpoints_cost_hardly_more_than_in_the_best_of_all_rhythms(commits: int, entries: int, units: int) -> None:
    """`commits` and `entries` are those of a minute, and a checkpoint takes `units`."""
    minutes = 16

    def cost(is_time: Callable[[Carried, LaneState, int], bool]) -> int:
        """The write units of checkpoints, and those that the log adds to the commits."""
        total, carried, covered = 0, Carried(), 0
        state = LaneState(log=(), indicators=dict.fromkeys(map(str, range(entries)), b""))
        for minute in range(minutes):
            for commit in range(commits):
                before = state
                if commit == 0:
                    closed = tuple(LogEntry(str(at), OPEN + timedelta(minutes=minute), 1.0, 1) for at in range(entries))
                    state, covered = replace(state, log=(*(state.log or ()), *closed)), covered + 1
                size = 1024 * 20 + ENTRY_BYTES * len(state.log or ())
                units_before = carried.units
                carried = after_commit(carried, before, state, size)
                total += carried.units - units_before
                if is_time(carried, state, covered):
                    total, carried, state, covered = total + units, after_checkpoint(carried), replace(state, log=()), 0
        return total

    with patch.multiple("processor_lambda.checkpoints", DYNAMODB_WRITE_UNIT_BYTES=1024, SYMBOL_BYTES=SYMBOL_BYTES):
        best = min(cost(lambda _, __, covered, every=every: covered >= every) for every in range(1, 6))  # type: ignore[misc]
        assert cost(lambda carried, state, _: is_due(carried, state, 2)) <= 1.1 * best


def test_a_lane_of_one_unit_needs_no_checkpoint() -> None:
    state = LaneState(indicators={"AAPL": b"packed"})
    carried = Carried()
    with patch.multiple("processor_lambda.checkpoints", DYNAMODB_WRITE_UNIT_BYTES=1024, SYMBOL_BYTES=SYMBOL_BYTES):
        for _ in range(1_000):
            carried = after_commit(carried, state, state, 900)
            assert not is_due(carried, state, 2)


def test_a_log_that_no_minute_follows_is_not_carried_for_ever() -> None:
    """As in a market that is closed for the night: each heartbeat commits the lane."""
    log = tuple(LogEntry(str(at), OPEN, 1.0, 1) for at in range(70))
    state = LaneState(log=log, indicators={entry.symbol: b"packed" for entry in log})
    with patch.multiple("processor_lambda.checkpoints", DYNAMODB_WRITE_UNIT_BYTES=1024, SYMBOL_BYTES=SYMBOL_BYTES):
        carried = after_commit(Carried(), replace(state, log=()), state, 6_000)
        commits = 1
        while not is_due(carried, state, 2):
            carried, commits = after_commit(carried, state, state, 6_000), commits + 1
    assert commits == 21  # as many units as a checkpoint of 70 symbols takes


@pytest.mark.parametrize(("text", "version"), [("", 2), ("1", 1), ("2", 2)])
def test_the_environment_says_which_version_is_written(text: str, version: int) -> None:
    assert from_environment(ENVIRONMENT | {"STATE_VERSION": text}).state_version == version


@pytest.mark.parametrize("text", ["0", "3", "two"])
def test_a_version_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(
        SettingsError, match=f"STATE_VERSION: '{text}' is not a version of the lanes' states from 1 to 2"
    ):
        from_environment(ENVIRONMENT | {"STATE_VERSION": text})
