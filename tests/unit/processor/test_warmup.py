"""A symbol that the state does not know starts with the indicators of its stored bars."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from tests.fakes.pipeline import Shard, make_heartbeats, make_processor, make_quote
from tests.fakes.processor_ports import World


def test_a_lane_that_lost_its_state_continues_with_the_indicators_of_its_stored_bars() -> None:
    shard = Shard()
    whole, cut = World(), World()
    for minute in range(400):
        shard.put_lines([make_quote(second=minute * 60, price=str(100 + minute * 7 % 13), volume=minute * 100)])
    half = len(shard.records) // 2
    make_processor(whole).process(shard.records)
    make_processor(cut).process(shard.records[:half])
    cut.states.clear()
    cut.marks.clear()
    shard.put_lines(make_heartbeats(400 * 60))
    make_processor(whole).process(shard.records[-2:])
    make_processor(cut).process(shard.records[half:])
    last = max(whole.bar_rows)
    assert cut.bar_rows[last].keys() == whole.bar_rows[last].keys()
    for name, value in whole.bar_rows[last].items():
        if name.startswith(("sma", "ema", "rsi", "macd", "bollinger")):
            assert abs(float(cut.bar_rows[last][name]) - float(value)) < 1e-6


def test_only_bars_before_its_first_minute_warm_up_a_symbol() -> None:
    shard, world = Shard(), World()
    shard.put_lines([make_quote(second=minute * 60, price="100") for minute in range(6)])
    make_processor(world).process(shard.records)
    world.states.clear()
    world.marks.clear()
    again = Shard()
    again.put_lines([make_quote(second=120, price="200")])
    again.put_lines(make_heartbeats(180))
    make_processor(world).process(again.records)
    bar = world.bar_rows["AAPL", "1m#2026-11-23T14:32:00.000Z"]
    assert "sma_5" not in bar  # there are two bars before it


def test_the_warm_up_of_a_symbol_does_not_depend_on_how_its_lines_are_cut_into_batches() -> None:
    before = Shard()
    before.put_lines([make_quote(second=minute * 60, price=str(100 + minute)) for minute in range(6)])
    again = Shard()
    again.put_lines(make_heartbeats(120))
    again.put_lines([make_quote(second=60, price="200")])  # its minute is already closed
    again.put_lines([make_quote(second=300, price="300")])
    again.put_lines(make_heartbeats(360))
    worlds = World(), World()
    for world, size in zip(worlds, (1, len(again.records)), strict=True):
        make_processor(world).process(before.records)
        world.states.clear()
        world.marks.clear()
        processor = make_processor(world)
        for start in range(0, len(again.records), size):
            processor.process(again.records[start : start + size])
    one_by_one, at_once = (world.bar_rows["AAPL", "1m#2026-11-23T14:35:00.000Z"] for world in worlds)
    assert "sma_5" in one_by_one
    assert at_once == one_by_one


@pytest.mark.parametrize("size", [1, 2, 100], ids=["record by record", "two by two", "at once"])
def test_a_symbol_that_returns_after_a_month_starts_with_its_stored_bars(size: int) -> None:
    """Even if it was still in the state when the batch in which it returns started."""
    month = 31 * 86_400
    shard, world = Shard(), World()
    shard.put_lines([make_quote(second=minute * 60, price=str(100 + minute)) for minute in range(6)])
    shard.put_lines(make_heartbeats(month))
    shard.put_lines([make_quote(second=month + 60, price="300", volume=10)])
    shard.put_lines(make_heartbeats(month + 120))
    records = [replace(record, arrival=record.arrival + timedelta(seconds=month)) for record in shard.records]
    processor = make_processor(world)
    for start in range(0, len(records), size):
        processor.process(records[start : start + size])
    bar = world.bar_rows["AAPL", "1m#2026-12-24T14:31:00.000Z"]
    assert bar["volume"] == 0
    assert float(bar["sma_5"]) == (102 + 103 + 104 + 105 + 300) / 5
