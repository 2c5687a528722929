"""A Kinesis stream whose shards split and merge. Deterministic."""

from __future__ import annotations

from datetime import datetime, timedelta

from processor_lambda.fold import FORGET_AFTER
from processor_lambda.records import Record
from quotes import lane_of, partition_key
from replica.event_source.records import Record as KinesisRecord
from replica.event_source.shards import Shard
from tests.fakes.pipeline import LANES, OPEN

GAP = 1_000_003
FIRST_NUMBER = 10**55 - 5 * GAP
"""The first sequence number. The sixth one has a digit more than the fifth, so their order as text is wrong."""
KEYS = tuple(partition_key(lane, LANES) for lane in range(LANES))
SYMBOLS = {
    key: tuple(symbol for symbol in ("AAPL", "MSFT", "NVDA", "TSLA", "^GSPC") if lane_of(symbol, LANES) == lane)
    for lane, key in enumerate(KEYS)
}
"""The symbols of each lane."""
MONTH = round((FORGET_AFTER + timedelta(days=1)).total_seconds())
"""A time in seconds after which the fold forgets a silent symbol."""


def lambda_record(record: KinesisRecord) -> Record:
    """A Kinesis record as the function receives it."""
    return Record(
        stream="quotes",
        shard=record.shard_id,
        sequence_number=record.position,
        partition_key=record.partition_key,
        arrival=record.approximate_arrival_timestamp,
        data=record.data,
    )


class Stream:
    """Records in shards. The records of a lane are in one shard. After a reshard, its next records are in a child."""

    def __init__(self) -> None:
        self.shards: list[Shard] = []
        self.records: dict[str, list[KinesisRecord]] = {}
        self.closed: set[str] = set()
        self.seconds = 0
        """The time in seconds, counted from an hour after the open. Each record advances it by one second."""
        self.silence = 0
        """The part of `seconds` in which no record arrived."""
        self._owners: dict[str, str] = {}
        self._open(KEYS)

    @property
    def in_order(self) -> list[KinesisRecord]:
        """All records in the order of their arrival."""
        return sorted((record for shard in self.records.values() for record in shard), key=lambda each: each.position)

    @property
    def now(self) -> datetime:
        """The current time."""
        return OPEN + timedelta(hours=1, seconds=self.seconds)

    def put(self, key: str, data: bytes) -> KinesisRecord:
        """Append a record."""
        count = sum(map(len, self.records.values()))
        record = KinesisRecord(
            shard_id=self._owners.get(key, self._owners[KEYS[0]]),
            sequence_number=str(FIRST_NUMBER + count * GAP),
            partition_key=key,
            data=data,
            approximate_arrival_timestamp=self.now,
        )
        self.records[record.shard_id].append(record)
        self.seconds += 1
        return record

    def reshard(self) -> None:
        """Split the one shard so that each lane has its own, or merge the shards of all lanes into one."""
        parents = tuple(dict.fromkeys(self._owners.values()))
        self.closed.update(parents)
        for keys in [(key,) for key in KEYS] if len(parents) == 1 else [KEYS]:
            self._open(keys, parents)

    def pass_month(self) -> None:
        """Let a month and a day pass without a record. The next heartbeat of a lane makes it forget its symbols."""
        self.seconds += MONTH
        self.silence += MONTH

    def _open(self, keys: tuple[str, ...], parents: tuple[str, ...] = ()) -> None:
        shard = Shard(shard_id=f"shardId-{len(self.shards):012}", parents=parents)
        self.shards.append(shard)
        self.records[shard.shard_id] = []
        self._owners |= dict.fromkeys(keys, shard.shard_id)
