"""Invokes a deployed function with a fixed scenario, and compares its results with those of the processor in memory.

It works with every emulator.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
from msgspec.structs import replace

from lane_state import encode_alert
from processor_lambda.quarantine import MAX_LINE_BYTES, MAX_LINES
from processor_lambda.records import Record, records_of
from processor_lambda.rows import Row
from quotes import Heartbeat, Quote, encode, lane_of, partition_key
from tests.fakes.pipeline import OPEN, SETTINGS, make_processor
from tests.fakes.processor_ports import World
from tests.support.queues import Message, subscribed, take

LANES = 97
"""A number of lanes that no producer in the tests uses, so the scenario has lanes of its own."""
SYMBOLS = ("SCENARIOA", "SCENARIOB", "SCENARIOC", "SCENARIOD")
MINUTES = 60
BATCH = 40
STREAM = "scenario"
SHARD = "shardId-000000000097"
_ARN = f"arn:aws:kinesis:us-east-1:000000000000:stream/{STREAM}"

Client = Callable[[str], Any]
"""Creates a client of one of the emulator's services."""

_SUBJECTS = {*SYMBOLS, *(partition_key(lane_of(symbol, LANES), LANES) for symbol in SYMBOLS)}
"""The symbols and lanes that the alerts of the scenario are about."""


def events() -> list[dict[str, Any]]:
    """The batches of the scenario, as events: an hour of four symbols with a split, invalid lines and repeated packets.

    One invalid line is too long for the queue, and one record has too many invalid lines.
    """
    chance = Random(5)
    prices = dict.fromkeys(SYMBOLS, 200.0)
    closes = dict.fromkeys(SYMBOLS, 200.0)
    records: list[dict[str, Any]] = []

    def put(data: bytes, key: str) -> None:
        number = str(10**50 + len(records))
        arrival = (OPEN + timedelta(days=2)).timestamp()
        kinesis = {"sequenceNumber": number, "partitionKey": key, "approximateArrivalTimestamp": arrival}
        kinesis["data"] = b64encode(data).decode()
        records.append({"eventID": f"{SHARD}:{number}", "eventSourceARN": _ARN, "kinesis": kinesis})

    for minute in range(MINUTES):
        for symbol in SYMBOLS:
            key = partition_key(lane_of(symbol, LANES), LANES)
            if (symbol, minute) == ("SCENARIOD", MINUTES // 2):  # a split, 4 for 1
                closes[symbol] = prices[symbol] = prices[symbol] / 4
            prices[symbol] *= 1 + chance.gauss(0, 0.008)
            packet = encode([_quote(symbol, minute, second, prices[symbol], closes[symbol]) for second in (5, 35)])
            put(packet, key)
            if chance.random() < 0.2:
                put(packet, key)
            if chance.random() < 0.1:
                put(b"rubbish\n" + packet, key)
            if (symbol, minute) == ("SCENARIOA", 10):
                put(b"x" * (MAX_LINE_BYTES + 1) + b"\n" + packet, key)
            if (symbol, minute) == ("SCENARIOB", 20):
                put(b"rubbish\n" * (MAX_LINES + 1) + packet, key)
            end = OPEN + timedelta(minutes=minute + 1)
            put(encode([Heartbeat(lane=key, clock=end, complete_to=end)]), key)
    return [{"Records": records[start : start + BATCH]} for start in range(0, len(records), BATCH)]


def _quote(symbol: str, minute: int, second: int, price: float, previous_close: float) -> Quote:
    time = OPEN + timedelta(minutes=minute, seconds=second)
    return Quote(
        symbol=symbol,
        event_time=time,
        price=Decimal(str(round(price, 2))),
        source="test",
        ingest_time=time,
        previous_close=Decimal(str(round(previous_close, 2))),
        volume=1_000 * minute + second,
        market_state="REGULAR",
    )


def assert_same(client: Client, function: str, outputs: Mapping[str, str]) -> None:
    """Invoke a deployed function with the scenario, and compare its results with those of the processor in memory."""
    world = World()
    variables = client("lambda").get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    processor = make_processor(world, settings=replace(SETTINGS, release=variables["RELEASE"]))
    sqs, invoke = client("sqs"), client("lambda").invoke
    with subscribed(client, outputs["AlertsTopicArn"]) as inbox:
        for event in events():
            answer = invoke(FunctionName=function, Payload=json.dumps(event).encode())
            assert json.load(answer["Payload"]) == {"batchItemFailures": []}
            records: tuple[Record, ...] = records_of(event)
            processor.process(records)
        alerts = _alerts(world)
        assert take(sqs, inbox, lambda alert: alert["symbol"] in _SUBJECTS, len(alerts)) == alerts
    dynamodb = client("dynamodb")
    assert _rows(dynamodb, outputs["QuotesTable"], "timestamp") == world.rows
    assert _rows(dynamodb, outputs["BarsTable"], "key") == world.bar_rows
    quarantined = _quarantined(world, outputs["ArchiveBucket"])
    queue = outputs["QuarantineQueueUrl"]
    assert take(sqs, queue, lambda line: line.get("stream") == STREAM, len(quarantined)) == quarantined
    objects = _objects(client("s3"), outputs["ArchiveBucket"])
    assert objects == {key: gzip.decompress(body) for key, body in world.objects.items()}
    _assert_complete(world, objects)


def _assert_complete(world: World, objects: Mapping[str, bytes]) -> None:
    """Assert that the scenario had every kind of result, and that the archive has all its lines."""
    assert len(world.rows) == len(SYMBOLS) * MINUTES * 2
    assert len(world.bar_rows) == len(SYMBOLS) * MINUTES
    assert {alert.rule for alert in world.alerts} >= {"split", "price_move"}
    assert {message.lines for message in world.messages if message.object} == {1, MAX_LINES + 1}
    assert any(message.content for message in world.messages)
    archive = b"".join(objects[key] for key in sorted(objects) if key.startswith("raw-data/"))
    stream = b"".join(record.data for event in events() for record in records_of(event))
    assert [_as_received(line) for line in archive.splitlines()] == stream.splitlines()


def _as_received(archived: bytes) -> bytes:
    line = json.loads(archived)
    return b64decode(line["content"]) if line["kind"] == "quarantined" else archived


def _alerts(world: World) -> dict[str, Message]:
    """The messages that a subscriber should receive, by id."""
    return {
        alert.id: Message(
            encode_alert(alert).decode(),
            {
                "id": alert.id,
                "rule": alert.rule,
                "severity": alert.severity,
                "symbol": alert.symbol,
                "symbols": json.dumps([alert.symbol]),
            },
        )
        for alert in world.alerts
    }


def _quarantined(world: World, bucket: str) -> dict[str, Message]:
    """The messages that the queue should hold, by id. In memory, the bucket of overflow objects is named `memory`."""
    bodies = {message.id: msgspec.json.encode(message).decode() for message in world.messages}
    return {name: Message(body.replace("s3://memory/", f"s3://{bucket}/"), {}) for name, body in bodies.items()}


def _rows(dynamodb: Any, table: str, range_key: str) -> dict[tuple[str, ...], Row]:
    """The rows of the scenario's symbols in a table, by their keys."""
    stored: dict[tuple[str, ...], Row] = {}
    for symbol in SYMBOLS:
        pages = dynamodb.get_paginator("query").paginate(
            TableName=table,
            KeyConditionExpression="symbol = :symbol",
            ExpressionAttributeValues={":symbol": {"S": symbol}},
        )
        for item in (item for page in pages for item in page["Items"]):
            row = {name: value.get("S") or Decimal(value["N"]) for name, value in item.items()}
            stored[symbol, item[range_key]["S"]] = row
    return stored


def _objects(s3: Any, bucket: str) -> dict[str, bytes]:
    """The content of the objects of the scenario's shard, by their keys."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [listed["Key"] for page in pages for listed in page.get("Contents", []) if f"/{SHARD}-" in listed["Key"]]
    return {key: gzip.decompress(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys}
