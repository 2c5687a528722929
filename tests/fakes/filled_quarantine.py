"""A quarantine that the processor itself fills, and a way back from the stream into the processor."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from operations.ordered_writer import Clock, OrderedWriter
from operations.ports import Packet
from operations.quarantine import Entry
from operations.queue_snapshot import QueueSnapshot
from processor_lambda.records import Record
from quotes import lane_of, partition_key
from tests.fakes.operations_ports import MemoryObjectStore, MemoryQueue, MemoryStream
from tests.fakes.pipeline import LANES, OPEN, Shard, make_processor
from tests.fakes.processor_ports import World

NOW: datetime = OPEN + timedelta(hours=3)
AAPL = partition_key(lane_of("AAPL", LANES), LANES)
"""The partition key of the lane of AAPL."""
MSFT = partition_key(lane_of("MSFT", LANES), LANES)
"""The partition key of the lane of MSFT, which is another lane."""


class FilledQuarantine:
    """What the processor refuses goes to `queue` and `store`. What a command puts on `stream` can be processed."""

    def __init__(self) -> None:
        self.world = World()
        self.shard = Shard()
        self.stream = MemoryStream()
        self.store = MemoryObjectStore()
        self.queue = MemoryQueue()
        self.writer = OrderedWriter(self.stream, clock=Clock(sleep=lambda _: None))

    def arrive(self, data: bytes, key: str) -> None:
        """Let the processor process one record."""
        self.process([self.shard.put(data, key)])

    def process(self, records: Sequence[Record]) -> None:
        """Let the processor process a batch of records."""
        self.world.messages.clear()
        make_processor(self.world).process(records)
        for message in self.world.messages:
            self.queue.bodies[f"message-{len(self.queue.bodies)}"] = msgspec.json.encode(message).decode()
        for key, body in self.world.objects.items():
            self.store.objects[f"s3://memory/{key}"] = body

    def process_replayed(self) -> None:
        """Let the processor process everything that was put on the stream, as if it arrived at `NOW`."""
        accepted: list[Packet] = self.stream.accepted
        records = [self.shard.put(packet.data, packet.partition_key) for packet in accepted]
        self.process([msgspec.structs.replace(record, arrival=NOW) for record in records])

    def prices(self) -> dict[str, list[str]]:
        """The price of each stored row, by symbol."""
        prices: dict[str, list[str]] = {}
        for row in self.world.rows.values():
            prices.setdefault(str(row["symbol"]), []).append(str(row["price"]))
        return prices

    def entries(self) -> list[Entry]:
        """The entries of the queue."""
        with QueueSnapshot(self.queue, 100) as snapshot:
            return snapshot.entries
