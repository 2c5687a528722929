"""Puts a fixed scenario on the stream of a pipeline, and compares the results with those of the processor in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from msgspec.structs import replace

from lane_state import encode_alert
from processor_lambda.records import Record
from processor_lambda.rows import Row
from quotes import Heartbeat, Quote, encode, lane_of, partition_key
from tests.fakes.pipeline import OPEN, SETTINGS, make_processor
from tests.fakes.processor_ports import World
from tests.support.queues import take
from tests.support.same_results import Client

LANES = 89
"""A number of lanes that no producer in the tests uses, so the scenario has lanes of its own."""
SYMBOLS = ("READERA", "READERB", "READERC")
MINUTES = 40

Packet = tuple[str, bytes]


def packets() -> Iterator[Packet]:
    """The keys and the data of the packets: minutes with quotes of three symbols, and a heartbeat of each lane."""
    chance = Random(7)
    prices = dict.fromkeys(SYMBOLS, 100.0)
    for minute in range(MINUTES):
        for symbol in SYMBOLS:
            key = partition_key(lane_of(symbol, LANES), LANES)
            prices[symbol] *= 1 + chance.gauss(0, 0.02)
            time = OPEN + timedelta(minutes=minute, seconds=chance.randrange(50))
            quote = Quote(
                symbol=symbol,
                event_time=time,
                price=Decimal(str(round(prices[symbol], 2))),
                source="test",
                ingest_time=time,
                previous_close=Decimal(100),
                volume=1_000 * minute,
                market_state="REGULAR",
            )
            yield key, encode([quote])
            end = OPEN + timedelta(minutes=minute + 1)
            yield key, encode([Heartbeat(lane=key, clock=end, complete_to=end)])


def put(kinesis: Any, stream: str, packets: Sequence[Packet]) -> list[Record]:
    """Put packets one by one. Returns the records as the function receives them, except for their time of arrival."""
    records = []
    for key, data in packets:
        answer = kinesis.put_record(StreamName=stream, PartitionKey=key, Data=data)
        records.append(
            Record(
                stream=stream,
                shard=answer["ShardId"],
                sequence_number=int(answer["SequenceNumber"]),
                partition_key=key,
                arrival=datetime.now(UTC),
                data=data,
            )
        )
    return records


def assert_processed_once(client: Client, outputs: Mapping[str, str], inbox: str, records: Sequence[Record]) -> None:
    """Compare rows, bars and alerts with those of one undisturbed pass over the records."""
    world = World()
    name = outputs["FunctionName"]
    variables = client("lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    make_processor(world, settings=replace(SETTINGS, release=variables["RELEASE"])).process(records)
    assert len(world.rows) == len(world.bar_rows) == MINUTES * len(SYMBOLS)
    dynamodb = client("dynamodb")
    assert _rows(dynamodb, outputs["QuotesTable"], "timestamp") == world.rows
    assert _rows(dynamodb, outputs["BarsTable"], "key") == world.bar_rows
    alerts = {alert.id: encode_alert(alert).decode() for alert in world.alerts}
    assert alerts
    found = take(client("sqs"), inbox, lambda alert: alert["symbol"] in SYMBOLS, len(alerts))
    assert {id_: message.body for id_, message in found.items()} == alerts


def _rows(dynamodb: Any, table: str, range_key: str) -> dict[tuple[str, ...], Row]:
    """The rows of the scenario's symbols in a table, by their keys."""
    found: dict[tuple[str, ...], Row] = {}
    for symbol in SYMBOLS:
        items = dynamodb.query(
            TableName=table,
            KeyConditionExpression="symbol = :symbol",
            ExpressionAttributeValues={":symbol": {"S": symbol}},
        )["Items"]
        for item in items:
            row = {name: value.get("S") or Decimal(value["N"]) for name, value in item.items()}
            found[symbol, item[range_key]["S"]] = row
    return found
