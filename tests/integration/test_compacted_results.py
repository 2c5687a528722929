"""SQL over the tables that compaction makes returns what it returns over the raw archive, to the digit."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from pyiceberg.utils.concurrent import ExecutorFactory

from quotes import Action, Heartbeat, Quote
from tests.fakes.compacted_archive import CompactedArchive, Inline
from tests.support.compacted_archives import Arrived, results, write

REFUSED = (
    b'{"kind":"quarantined","v":1,"shard":"shardId-000000000000","sequence_number":"7","line":1,"reason":"no JSON",'
    b'"content":"aGVsbG8="}\n'
)


def test_results_are_the_same_over_the_compacted_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Inline.use(monkeypatch, ExecutorFactory)
    today = datetime.now(UTC).date()
    midnight = datetime.combine(today, time(), UTC)
    lines: list[Arrived] = []
    for number in range(9):
        at = midnight - timedelta(hours=7 * number, seconds=1)
        exact = Decimal(f"0.{number + 1:026}")
        quote = Quote(symbol="A", event_time=at, price=exact, source="test", ingest_time=at, volume=9)
        split = Action(
            symbol="A", event_time=at, source="test", ingest_time=at, action="split", numerator=3, denominator=2
        )
        beat = Heartbeat(lane="lane-00-of-04", clock=at)
        lines += [(at, quote), (at + timedelta(hours=5), quote), (at, split), (at, beat), (at, REFUSED)]
    write(tmp_path, lines, Random(2))
    over_raw = results(tmp_path)
    CompactedArchive(tmp_path).run(now=midnight - timedelta(hours=21))
    over_tables = results(tmp_path)
    assert (tmp_path / "compacted" / "current.json").is_file()
    for name, rows in over_raw.items():
        assert over_tables[name] == rows, name
