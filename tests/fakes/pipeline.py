"""A stream with one shard, quotes and heartbeats to put there, and the processor with its ports in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from processor_lambda.alerts import Rules
from processor_lambda.alerts.rules_file import DEFAULT_FILE, read
from processor_lambda.processor import Processor
from processor_lambda.records import Record
from processor_lambda.settings import Settings
from quotes import Heartbeat, Line, Quote, encode, lane_of, partition_key
from tests.fakes.processor_ports import World

OPEN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
"""When the market opens."""
LANES = 2
SETTINGS = Settings(
    quotes_table="quotes",
    bars_table="bars",
    state_table="state",
    alerts_table="alerts",
    archive_bucket="archive",
    alerts_topic_arn="arn:aws:sns:::alerts",
    quarantine_queue_url="http://queue",
    rules_key="configuration/rules.toml",
)


class Shard:
    """Records with rising sequence numbers of 56 digits, with gaps between them, as in Kinesis."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def put(self, data: bytes, key: str) -> Record:
        """Append a record. The records arrive one second after the other, from an hour after the open on."""
        number = len(self.records)
        record = Record(
            stream="quotes",
            shard="shardId-000000000000",
            sequence_number=49590338271490256608559692538361571095921575989136588898 + number * 1_000_003,
            partition_key=key,
            arrival=OPEN + timedelta(hours=1, seconds=number),
            data=data,
        )
        self.records.append(record)
        return record

    def put_lines(self, lines: Iterable[Line]) -> list[Record]:
        """Append a record for each lane that has lines."""
        by_lane: dict[str, list[Line]] = {}
        for line in lines:
            key = line.lane if isinstance(line, Heartbeat) else partition_key(lane_of(line.symbol, LANES), LANES)
            by_lane.setdefault(key, []).append(line)
        return [self.put(encode(of_lane), key) for key, of_lane in by_lane.items()]


def make_quote(
    symbol: str = "AAPL",
    second: float = 0,
    price: str = "100",
    *,
    volume: int | None = None,
    revision: int = 0,
    previous_close: str | None = None,
) -> Quote:
    """A quote `second` seconds after the open."""
    time = OPEN + timedelta(seconds=second)
    return Quote(
        symbol=symbol,
        event_time=time,
        revision=revision,
        price=Decimal(price),
        source="synthetic",
        ingest_time=time,
        volume=volume,
        previous_close=None if previous_close is None else Decimal(previous_close),
    )


def make_heartbeats(second: float) -> list[Heartbeat]:
    """A heartbeat of each lane, which is complete up to this second."""
    time = OPEN + timedelta(seconds=second)
    return [Heartbeat(lane=partition_key(lane, LANES), clock=time, complete_to=time) for lane in range(LANES)]


RULES = read(DEFAULT_FILE, SETTINGS.anomaly_percent)


def make_processor(
    world: World, *, settings: Settings = SETTINGS, rules: Rules | Callable[[], Rules] = RULES
) -> Processor:
    """A processor that uses the ports of a world."""
    return Processor(
        archive=world.archive,
        quotes=world.quotes,
        bars=world.bars,
        states=world.state_table,
        stored_alerts=world.alert_table,
        alerts=world.topic,
        quarantine=world.quarantine,
        settings=settings,
        rules=(lambda: rules) if isinstance(rules, Rules) else rules,
    )
