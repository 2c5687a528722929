"""Metered calls become usage, and the expected usage agrees with what the pipeline's own code does in three minutes."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from aws_limits import DYNAMODB_WRITE_UNIT_BYTES, KINESIS_PAYLOAD_UNIT_BYTES
from bars.keys import ONE_MINUTE, bar_key
from costs.expected_usage import Setup, expected_usage, lanes_for
from costs.item_size import item_size
from costs.metering import Call, Tables, calls_of, metered
from costs.sizes import item_bytes, symbol_name
from lane_state import Checkpoint, LaneState, pack, pack_checkpoint
from processor_lambda.alerts import Rules
from processor_lambda.ports import Stored
from processor_lambda.processor import Processor
from processor_lambda.records import Record
from processor_lambda.rows import Row, quote_row
from processor_lambda.settings import Settings
from producer_service import packing
from producer_service.sources.synthetic import SyntheticSource
from quotes import Heartbeat, Quote, encode_line, lane_of, partition_key
from tests.fakes.processor_ports import MemoryBarTable, World
from tests.support.sizes import FULL

START = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
POLLS, MINUTES = 180, 3
SETTINGS = Settings(
    quotes_table="",
    bars_table="",
    state_table="",
    alerts_table="",
    archive_bucket="",
    alerts_topic_arn="",
    quarantine_queue_url="",
    rules_key="",
)


def write_units(row: Row) -> int:
    """The write units of a row. JSON is longer than what DynamoDB counts, so short JSON is one unit for certain."""
    if len(msgspec.json.encode(row)) <= DYNAMODB_WRITE_UNIT_BYTES:
        return 1
    return math.ceil(item_bytes(row) / DYNAMODB_WRITE_UNIT_BYTES)


class CountingQuoteTable:
    """Counts the write units of the rows of quotes."""

    def __init__(self) -> None:
        self.units = 0

    def put(self, quotes: Sequence[Quote], anomaly_percent: Decimal, ttl_days: int) -> None:
        self.units += sum(write_units(quote_row(quote, anomaly_percent, ttl_days)) for quote in quotes)


class CountingBarTable:
    """Counts the write units of what is put into a table."""

    def __init__(self, table: MemoryBarTable) -> None:
        self._table = table
        self.units = 0

    def put(self, rows: Sequence[Row]) -> None:
        self.units += sum(map(write_units, rows))
        self._table.put(rows)

    def before(self, symbol: str, minute: datetime, count: int) -> list[Row]:
        """Bars of the hour before the start, so that all indicators are known, as they are after an hour."""
        chance = random.Random(symbol)
        return [
            {
                "symbol": symbol,
                "key": bar_key(ONE_MINUTE, minute - timedelta(minutes=ago)),
                "close": Decimal(chance.randint(9_000, 11_000)) / 100,
                "volume": chance.randint(1_000, 90_000),
            }
            for ago in range(min(count, 70), 0, -1)
        ]


class CountingStates:
    """Keeps the states, and counts the write units of states, marks and checkpoints."""

    def __init__(self) -> None:
        self._states: dict[str, LaneState] = {}
        self._marks: dict[str, int] = {}
        self._checkpoints: dict[str, int] = {}
        self.units = self.checkpoints = 0

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        return {lane: Stored(self._states.get(lane, LaneState()), self._marks.get(lane, 0)) for lane in lanes}

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        assert self._states.get(lane, LaneState()).position == read.position
        self._states[lane] = state
        return self._write({"lane": {"S": lane}, "last_sequence": {"S": str(state.position)}}, "state", pack(state))

    def write_checkpoint(self, lane: str, checkpoint: Checkpoint, replaced: int) -> int:
        assert self._checkpoints.get(lane, 0) == replaced
        self._checkpoints[lane] = checkpoint.number
        self.checkpoints += 1
        key = {"lane": {"S": f"{lane}#indicators"}, "checkpoint": {"N": str(checkpoint.number)}}
        return self._write(key, "indicators", pack_checkpoint(checkpoint))

    def _write(self, item: dict[str, dict[str, str]], name: str, packed: bytes) -> int:
        self.units += math.ceil((item_size(item) + len(name) + len(packed)) / DYNAMODB_WRITE_UNIT_BYTES)
        return len(packed)

    def raise_mark(self, lane: str, published: int) -> None:
        self.units += 1
        self._marks[lane] = max(self._marks.get(lane, 0), published)


def packets_of(symbols: int, lanes: int) -> Iterator[tuple[datetime, int, list[tuple[str, bytes]]]]:
    """The time, the number of new quotes, and the packets that the producer's code makes of them, of each second."""
    source, names = SyntheticSource(), [symbol_name(number) for number in range(symbols)]
    seen = set()
    keys = [partition_key(lane, lanes) for lane in range(lanes)]
    for second in range(POLLS + 1):
        now = START + timedelta(seconds=second)
        lines: dict[str, list[bytes]] = {}
        for quote in source.fetch(names, now).quotes if second < POLLS else ():
            if quote.identity not in seen:
                seen.add(quote.identity)
                lines.setdefault(keys[lane_of(quote.symbol, lanes)], []).append(encode_line(quote))
        packets = [(key, data) for key, of in lines.items() for data, _ in packing.chunks(of)]
        if second and second % 60 == 0:
            packets += [(key, encode_line(Heartbeat(lane=key, clock=now, complete_to=now))) for key in keys]
        yield now, sum(map(len, lines.values())), packets


# With 100 symbols in one lane, as with 400 in four, a poll makes more than one packet of a lane.
@pytest.mark.parametrize(
    ("symbols", "lanes"), [(24, lanes_for(24)), (100, lanes_for(100)), (400, lanes_for(400)) if FULL else (100, 1)]
)
def test_the_expected_counts_are_those_of_the_pipelines_own_code(symbols: int, lanes: int) -> None:
    """Polls are a second apart. A window of one second makes batches of two seconds."""
    setup = Setup(symbols=symbols, interval_seconds=1, lanes=lanes, shards=1, window_seconds=1)
    world = World()
    quotes, bars, states = CountingQuoteTable(), CountingBarTable(world.bars), CountingStates()
    processor = Processor(
        archive=world.archive,
        quotes=quotes,
        bars=bars,
        states=states,
        stored_alerts=world.alert_table,
        alerts=world.topic,
        quarantine=world.quarantine,
        settings=SETTINGS,
        rules=lambda: Rules(()),
    )
    units = accepted = sequence = 0
    batch: list[Record] = []
    for second, (now, new, packets) in enumerate(packets_of(symbols, setup.lanes)):
        accepted += new
        for key, data in packets:
            sequence += 1
            units += math.ceil((len(data) + len(key)) / KINESIS_PAYLOAD_UNIT_BYTES)
            batch.append(
                Record(
                    stream="stream",
                    shard="shardId-000000000000",
                    sequence_number=10**55 + sequence,
                    partition_key=key,
                    arrival=now,
                    data=data,
                )
            )
        if second % 2 or second == POLLS:
            processor.process(batch)
            batch = []

    setup = msgspec.structs.replace(setup, share_of_new_quotes=accepted / symbols / POLLS)
    usage = expected_usage(setup, polls=POLLS, minutes=MINUTES)
    assert usage.quotes == pytest.approx(accepted)
    assert usage.row_writes == pytest.approx(quotes.units)
    assert usage.bar_writes == bars.units == symbols * MINUTES
    assert usage.archive_puts == usage.invocations == pytest.approx(len(world.objects), rel=0.02)
    # By chance, a lane's poll of about 25 KB is one packet or two, and an item of about 1 KB one unit or two. The lanes
    # are new, so their first items hold indicators, until the first checkpoint.
    assert usage.payload_units == pytest.approx(units, rel=0.05)
    assert usage.state_writes == pytest.approx(states.units, rel=0.15)
    assert states.checkpoints >= lanes
    # The quotes with which sizes are measured are more random than the simulated market.
    assert usage.archive_bytes == pytest.approx(sum(map(len, world.objects.values())), rel=0.3)


def test_calls_become_billed_units() -> None:
    calls = [
        Call("kinesis:PutRecords", "stream", (300, 25_000, 25_001)),
        Call("dynamodb:BatchWriteItem", "q", (400, 1024, 1025)),
        Call("dynamodb:BatchWriteItem", "b", (90,)),
        Call("dynamodb:BatchWriteItem", "a", (450, 500)),
        Call("dynamodb:PutItem", "s", (2_500,)),
        Call("dynamodb:PutItem", "another", (1,)),
        Call("dynamodb:BatchGetItem", "s", (0, 5_000)),
        Call("dynamodb:Query", "b", (0,)),
        Call("s3:PutObject", "/archive/raw-data/dt=2026-11-23/x.gz", (700,)),
        Call("s3:PutObject", "/archive/quarantine/x.gz", (1,)),
        Call("s3:PutObject", "/code/processor/x.zip", (1,)),
        Call("s3:ListObjectsV2", "undelivered/", (0,)),
        Call("s3:ListObjectsV2", "raw-data/", (0,)),
        Call("s3:GetObject", "/archive/configuration/rules.toml", (0,)),
        Call("s3:GetObject", "/archive/raw-data/dt=2026-11-23/x.gz", (0,)),
        Call("sns:Publish", "", (9, 8)),
    ]
    log = [
        "START RequestId: 1 Version: $LATEST",
        '{"event":"batch_processed"}',
        "END RequestId: 1",
        "REPORT RequestId: 1\tDuration: 250 ms\tBilled Duration: 250 ms\tMemory Size: 512 MB\tMax Memory Used: 90 MB",
    ]
    usage = metered(
        calls_of(b"\n".join(map(msgspec.json.encode, calls))),
        Tables(quotes="q", bars="b", state="s", alerts="a"),
        quotes=7,
        function_log=log,
        producer_log_bytes=1_000,
        memory_mb=512,
    )
    assert (usage.quotes, usage.payload_units, usage.stream_bytes) == (7, 4, 50_301)
    assert (usage.row_writes, usage.bar_writes, usage.state_writes, usage.alert_writes) == (4, 1, 3, 2)
    assert usage.write_units == 10
    assert (usage.read_units, usage.archive_puts, usage.archive_bytes, usage.other_puts) == (4, 1, 700, 2)
    assert (usage.invocations, usage.gb_seconds, usage.alerts, usage.configuration_gets) == (1, 0.125, 2, 1)
    assert usage.log_bytes == 1_000 + (len(log[1]) + 26) + (700 + 2 * 26)
