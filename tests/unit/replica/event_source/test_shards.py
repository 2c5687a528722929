from __future__ import annotations

from datetime import UTC, datetime, timedelta

from replica.event_source import IteratorExpired, Position, Record, Shard
from replica.event_source.invoker import Clock
from replica.event_source.polling import ShardCursor
from replica.event_source.progress import Progress
from replica.event_source.shards import TRIM_HORIZON, shards_to_start
from tests.fakes.event_source import FakeStream

_SHARD = "shardId-000000000000"
_NOW = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


def _cursor(stream: FakeStream, position: Position) -> ShardCursor:
    clock = Clock(now=lambda: _NOW)
    return ShardCursor(stream, _SHARD, position, clock=clock, pause=lambda _: False, interval_seconds=1.0)


def _read(cursor: ShardCursor, times: int = 3) -> list[Record]:
    return [record for _ in range(times) for record in cursor.read().records]


def test_an_expired_iterator_is_replaced_after_the_last_record_read() -> None:
    stream = FakeStream(page_size=2)
    put = [stream.put("key", arrival=_NOW) for _ in range(5)]
    cursor = _cursor(stream, TRIM_HORIZON)

    before = list(cursor.read().records)
    stream.faults.append(IteratorExpired())

    assert before + _read(cursor, 4) == put


def test_latest_reads_what_is_put_after_opening_even_if_its_first_iterator_expires() -> None:
    stream = FakeStream()
    stream.put("key", b"before", arrival=_NOW - timedelta(seconds=1))
    cursor = _cursor(stream, Position(type="LATEST"))
    cursor.open()
    put = stream.put("key", b"after", arrival=_NOW + timedelta(seconds=1))
    stream.faults.append(IteratorExpired())

    assert _read(cursor) == [put]


def test_children_wait_for_all_their_parents() -> None:
    left, right = Shard(shard_id="left"), Shard(shard_id="right")
    merged = Shard(shard_id="merged", parents=("left", "right"))
    shards = (merged, left, right)

    assert shards_to_start(shards, started=(), ended=()) == (left, right)
    assert shards_to_start(shards, started=("left", "right"), ended=("left",)) == ()
    assert shards_to_start(shards, started=("left", "right"), ended=("left", "right")) == (merged,)


def test_a_child_waits_for_a_parent_that_is_no_longer_listed_but_still_processed() -> None:
    child = Shard(shard_id="child", parents=("parent",))

    assert shards_to_start((child,), started=("parent",), ended=()) == ()
    assert shards_to_start((child,), started=(), ended=()) == (child,)


def test_the_checkpoint_stays_below_the_lowest_unfinished_record() -> None:
    stream, progress = FakeStream(), Progress()
    first, second, third = (stream.put("key") for _ in range(3))
    for record in (first, second, third):
        progress.read(record)

    progress.finish([third])
    assert (progress.checkpoint, progress.finished_count) == (None, 0)
    progress.finish([first])
    assert (progress.checkpoint, progress.finished_count) == (first.sequence_number, 1)
    progress.finish([second])
    assert (progress.checkpoint, progress.finished_count) == (third.sequence_number, 3)
