"""Looking into a queue that has no peek."""

from __future__ import annotations

import json

import pytest

from operations.errors import Unavailable
from operations.ports import Held
from operations.queue_snapshot import Sweep
from operations.view import json_of
from tests.fakes.operations_ports import MemoryQueue


def test_everything_is_seen_once_held_and_shown_again() -> None:
    queue = MemoryQueue([f"body {number}" for number in range(35)])
    seen: list[int] = []
    with Sweep(queue, 1000, seen.append) as sweep:
        assert len(sweep.entries) == 35
        assert queue.count() == 0
        assert sweep.complete
    assert queue.count() == 35
    assert sum(seen) == 35


def test_a_limit_ends_it_and_says_that_there_may_be_more() -> None:
    with Sweep(MemoryQueue(["x"] * 35), 15) as sweep:
        assert len(sweep.entries) == 20
        assert not sweep.complete


def test_messages_that_are_hidden_no_longer_are_not_seen_twice_and_end_the_sweep() -> None:
    class Forgetful(MemoryQueue):
        def receive(self) -> list[Held]:
            self.hidden.clear()
            return super().receive()

    with Sweep(Forgetful(["x"] * 15), 1000) as sweep:
        assert len(sweep.entries) == 10
        assert not sweep.complete


def test_what_is_held_is_shown_again_though_the_sweep_fails() -> None:
    class Failing(MemoryQueue):
        def receive(self) -> list[Held]:
            if self.hidden:
                raise Unavailable("the queue does not answer")
            return super().receive()

    queue = Failing(["x"] * 15)
    with pytest.raises(Unavailable), Sweep(queue, 1000):
        pass
    assert queue.count() == 15


def test_what_was_deleted_is_gone_and_the_rest_is_shown_again() -> None:
    queue = MemoryQueue(["a", "b", "c"])
    with Sweep(queue, 1000) as sweep:
        sweep.delete([entry for entry in sweep.entries if entry.copies[0].body == "b"])
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
def test_what_is_no_message_of_the_processors_is_an_entry_all_the_same(body: str) -> None:
    with Sweep(MemoryQueue([body]), 10) as sweep:
        (entry,) = sweep.entries
    assert entry.message is None
    assert entry.id == "message-0"
    assert '"reason":"not a message of the processor\'s"' in json_of(entry)
