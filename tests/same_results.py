"""One story, for the deployed function of any emulator: what it stores must be what the processor in memory stores."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

from processor_lambda.memory import World
from processor_lambda.records import Record, records_of
from quotes import Heartbeat, Quote, encode, lane_of, partition_key
from tests.unit.processor.pipeline import OPEN, make_processor

LANES = 97
"""Lanes that no producer of the tests uses."""
SYMBOLS = ("STORYA", "STORYB", "STORYC", "STORYD")
MINUTES = 60
BATCH = 40
_ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/story"


def events() -> list[dict[str, Any]]:
    """The story's batches, as Lambda hands them over: an hour of four symbols, a split, rubbish, repeated packets."""
    chance = Random(5)
    prices = dict.fromkeys(SYMBOLS, 200.0)
    closes = dict.fromkeys(SYMBOLS, 200.0)
    records: list[dict[str, Any]] = []

    def put(data: bytes, key: str) -> None:
        number = str(10**50 + len(records))
        arrival = (OPEN + timedelta(days=2)).timestamp()
        kinesis = {"sequenceNumber": number, "partitionKey": key, "approximateArrivalTimestamp": arrival}
        kinesis["data"] = b64encode(data).decode()
        records.append({"eventID": f"shardId-000000000097:{number}", "eventSourceARN": _ARN, "kinesis": kinesis})

    for minute in range(MINUTES):
        for symbol in SYMBOLS:
            key = partition_key(lane_of(symbol, LANES), LANES)
            if (symbol, minute) == ("STORYD", MINUTES // 2):  # it splits 4 for 1
                closes[symbol] = prices[symbol] = prices[symbol] / 4
            prices[symbol] *= 1 + chance.gauss(0, 0.008)
            packet = encode([_quote(symbol, minute, second, prices[symbol], closes[symbol]) for second in (5, 35)])
            put(packet, key)
            if chance.random() < 0.2:
                put(packet, key)
            if chance.random() < 0.1:
                put(b"rubbish\n" + packet, key)
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


def assert_same(client: Any, function: str, outputs: Mapping[str, str]) -> None:
    """Invoke a deployed function with the story, and hold what it stored against the processor in memory.

    `client` makes clients of the emulator's services.
    """
    world = World()
    processor = make_processor(world)
    invoke = client("lambda").invoke
    for event in events():
        answer = invoke(FunctionName=function, Payload=json.dumps(event).encode())
        assert json.load(answer["Payload"]) == {"batchItemFailures": []}
        records: tuple[Record, ...] = records_of(event)
        processor.process(records)
    dynamodb = client("dynamodb")
    for table, range_key, expected in (
        (outputs["QuotesTable"], "timestamp", world.rows),
        (outputs["BarsTable"], "minute", world.bar_rows),
    ):
        stored = {}
        for symbol in SYMBOLS:
            pages = dynamodb.get_paginator("query").paginate(
                TableName=table,
                KeyConditionExpression="symbol = :symbol",
                ExpressionAttributeValues={":symbol": {"S": symbol}},
            )
            for item in (item for page in pages for item in page["Items"]):
                row = {name: value.get("S") or Decimal(value["N"]) for name, value in item.items()}
                stored[symbol, row[range_key]] = row
        assert stored == expected
    assert len(world.rows) == len(SYMBOLS) * MINUTES * 2
    assert len(world.bar_rows) == len(SYMBOLS) * MINUTES
    assert {alert.rule for alert in world.alerts} >= {"split", "price_move"}
