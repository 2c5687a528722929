"""A recorded week of real minutes, replayed through the processor, gives the recorded bars back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from producer_service.sources.replay.source import ReplaySource
from quotes import Heartbeat, partition_key
from tests.fakes.pipeline import LANES, Shard, make_processor
from tests.fakes.processor_ports import World
from tests.support.recorded_bars import PRICES, recorded_bars
from tests.support.sizes import sized

NOW = datetime(2026, 11, 23, 14, tzinfo=UTC)
RECORDED = 24
REPLAYED = sized(1, RECORDED)
"""How many of the recorded symbols are replayed."""


def test_a_recorded_week_gives_the_recorded_bars_back(recordings: Path, tmp_path: Path) -> None:
    files = sorted((recordings / "minute" / "eqker").glob("*_1min.csv"))
    assert len(files) == RECORDED
    for file in files[:: RECORDED // REPLAYED]:
        (tmp_path / file.name).symlink_to(file)
    source = ReplaySource(tmp_path)
    assert len(source.symbols) == REPLAYED
    world, shard = World(), Shard()
    processor = make_processor(world)
    for second in count():
        now = NOW + timedelta(seconds=second)
        result = source.fetch(source.symbols, now)
        heartbeats = [
            Heartbeat(lane=partition_key(lane, LANES), clock=now, complete_to=result.complete_to)
            for lane in range(LANES)
        ]
        processor.process(shard.put_lines([*result.quotes, *heartbeats]))
        if result.ended:
            break
    stored = {
        (symbol, key.removeprefix("1m#")): tuple(row[name] for name in PRICES)
        for (symbol, key), row in world.bar_rows.items()
    }
    assert stored == {bar: values for symbol in source.symbols for bar, values in recorded_bars(tmp_path, symbol)}
