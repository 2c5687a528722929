"""Looking at a queue whose messages cannot be seen without hiding them."""

from __future__ import annotations

import json

import pytest

from operations.errors import Unavailable
from operations.ports import ReceivedMessage
from operations.quarantine_view import json_of
from operations.queue_snapshot import QueueSnapshot
from tests.fakes.operations_ports import MemoryQueue


def test_every_message_is_in_the_snapshot_once_and_visible_again_afterwards() -> None:
    queue = MemoryQueue([f"body {number}" for number in range(35)])
    received: list[int] = []
    with QueueSnapshot(queue, 1000, received.append) as snapshot:
        assert len(snapshot.entries) == 35
        assert queue.count() == 0
        assert snapshot.complete
    assert queue.count() == 35
    assert sum(received) == 35


def test_a_snapshot_that_reaches_its_limit_is_not_complete() -> None:
    with QueueSnapshot(MemoryQueue(["x"] * 35), 15) as snapshot:
        assert len(snapshot.entries) == 20
        assert not snapshot.complete


def test_a_snapshot_of_long_messages_ends_before_it_fills_the_memory() -> None:
    queue = MemoryQueue(["x" * 100] * 35)
    with QueueSnapshot(queue, 1000, max_characters=1_500) as snapshot:
        assert len(snapshot.entries) == 20
        assert not snapshot.complete
    assert queue.count() == 35


def test_messages_that_became_visible_again_are_not_counted_twice_and_end_the_snapshot() -> None:
    class TimedOut(MemoryQueue):
        def receive(self) -> list[ReceivedMessage]:
            self.hidden.clear()
            return super().receive()

    with QueueSnapshot(TimedOut(["x"] * 15), 1000) as snapshot:
        assert len(snapshot.entries) == 10
        assert not snapshot.complete


def test_messages_are_visible_again_after_a_failed_receive() -> None:
    class Failing(MemoryQueue):
        def receive(self) -> list[ReceivedMessage]:
            if self.hidden:
                raise Unavailable("the queue does not answer")
            return super().receive()

    queue = Failing(["x"] * 15)
    with pytest.raises(Unavailable), QueueSnapshot(queue, 1000):
        pass
    assert queue.count() == 15


def test_deleted_messages_are_gone_and_the_others_are_visible_again() -> None:
    queue = MemoryQueue(["a", "b", "c"])
    with QueueSnapshot(queue, 1000) as snapshot:
        snapshot.delete([entry for entry in snapshot.entries if entry.copies[0].body == "b"])
    assert list(queue.bodies.values()) == ["a", "c"]
    assert queue.count() == 2


MESSAGE = {
    "id": "a",
    "stream": "quotes",
    "shard": "shardId-000000000000",
    "sequence_number": "1",
    "partition_key": "lane-00-of-01",
    "arrival": "2026-11-23T14:30:00.000Z",
    "reason": "empty line",
    "content": "",
}


@pytest.mark.parametrize(
    "body",
    [
        "rubbish",
        "{}",
        json.dumps(MESSAGE | {"sequence_number": "x"}),
        json.dumps(MESSAGE | {"arrival": "yesterday"}),
        json.dumps(MESSAGE | {"content": None}),
    ],
)
def test_a_message_that_the_processor_did_not_write_is_an_entry_too(body: str) -> None:
    with QueueSnapshot(MemoryQueue([body]), 10) as snapshot:
        (entry,) = snapshot.entries
    assert entry.message is None
    assert entry.id == "message-0"
    assert '"reason":"not a message of the processor"' in json_of(entry)
