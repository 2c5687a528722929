"""A quarantine that the processor itself has filled, and the way back into the processor."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import pytest

from operations.ordered_writer import Clock, Courier
from operations.ports import Packet
from operations.quarantine import Entry
from processor_lambda.records import Record
from tests.fakes.operations_ports import MemoryObjects, MemoryQueue, MemoryStream
from tests.fakes.pipeline import OPEN, Shard, make_processor
from tests.fakes.processor_ports import World

NOW: datetime = OPEN + timedelta(hours=3)


class Quarantined:
    """What a processor refuses goes to a queue and to objects; what a command puts on the stream comes back to it."""

    def __init__(self) -> None:
        self.world = World()
        self.shard = Shard()
        self.stream = MemoryStream()
        self.objects = MemoryObjects()
        self.queue = MemoryQueue()
        self.courier = Courier(self.stream, clock=Clock(sleep=lambda _: None))

    def arrive(self, data: bytes, key: str) -> None:
        self.process([self.shard.put(data, key)])

    def process(self, records: Sequence[Record]) -> None:
        self.world.messages.clear()
        make_processor(self.world).process(records)
        for message in self.world.messages:
            self.queue.bodies[f"message-{len(self.queue.bodies)}"] = msgspec.json.encode(message).decode()
        for key, body in self.world.objects.items():
            self.objects.objects[f"s3://memory/{key}"] = body

    def process_what_was_replayed(self) -> None:
        taken: list[Packet] = self.stream.taken
        records = [self.shard.put(packet.data, packet.partition_key) for packet in taken]
        self.process([msgspec.structs.replace(record, arrival=NOW) for record in records])

    def prices(self) -> dict[str, list[str]]:
        """The price of each row, by symbol."""
        prices: dict[str, list[str]] = {}
        for row in self.world.rows.values():
            prices.setdefault(str(row["symbol"]), []).append(str(row["price"]))
        return prices


@pytest.fixture
def quarantined() -> Quarantined:
    return Quarantined()


def entry_with(entries: Sequence[Entry], reason: str) -> Entry:
    (entry,) = [entry for entry in entries if reason in entry.reason]
    return entry
