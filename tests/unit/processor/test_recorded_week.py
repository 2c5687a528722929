"""A recorded week of real minutes, replayed through the processor, comes out as it was recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from producer_service.sources.replay.source import ReplaySource
from quotes import Heartbeat, partition_key
from tests.fakes.pipeline import LANES, Shard, make_processor
from tests.fakes.processor_ports import World
from tests.support.recorded_bars import PRICES, recorded_bars

NOW = datetime(2026, 11, 23, 14, tzinfo=UTC)


def test_a_week_of_24_symbols_gives_the_recorded_bars_back(recordings: Path) -> None:
    folder = recordings / "minute" / "eqker"
    source = ReplaySource(folder)
    assert len(source.symbols) == 24
    world, shard = World(), Shard()
    processor = make_processor(world)
    for second in count():
        now = NOW + timedelta(seconds=second)
        result = source.fetch(source.symbols, now)
        beats = [
            Heartbeat(lane=partition_key(lane, LANES), clock=now, complete_to=result.complete_to)
            for lane in range(LANES)
        ]
        processor.process(shard.put_lines([*result.quotes, *beats]))
        if result.ended:
            break
    stored = {key: tuple(row[name] for name in PRICES) for key, row in world.bar_rows.items()}
    assert stored == {bar: values for symbol in source.symbols for bar, values in recorded_bars(folder, symbol)}
