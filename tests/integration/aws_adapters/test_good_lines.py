"""Lines at the edges of the grammars: the emulator's DynamoDB stores the row of every line that the decoder accepts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aws_requests import Service
from aws_requests.credentials import credentials_of
from processor_lambda.adapters.dynamodb import DynamoQuoteTable
from processor_lambda.rows import quote_row
from quotes import Quote, decode
from replica.emulator import REGION, Emulator
from tests.support.edge_lines import PLAIN, PRICES, edge_lines
from tests.support.sizes import sized

TABLE = "good-lines"
KEYS = ("symbol", "timestamp")
EDGES = ["0", "-0.0", "0." + 25 * "0" + "1", "999999999999." + 26 * "9", "-999999999999." + 26 * "9", "12.50", "0e1000"]


def line(number: str, at: int) -> bytes:
    """A line with this number as each price. `at` is the second of its time."""
    members = PLAIN | dict.fromkeys(PRICES, number) | {"event_time": f'"2026-11-23T14:29:{at:02d}.000Z"'}
    return ("{" + ",".join(f'"{name}":{text}' for name, text in members.items()) + "}").encode()


@pytest.fixture
def table(emulator: Emulator) -> Iterator[DynamoQuoteTable]:
    emulator.client("dynamodb").create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in KEYS],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(KEYS, ("HASH", "RANGE"), strict=True)],
        BillingMode="PAY_PER_REQUEST",
    )
    service = Service("dynamodb", emulator.endpoint_url, REGION, credentials_of(emulator.environment({})))
    yield DynamoQuoteTable(service, TABLE)
    service.close()


@settings(
    max_examples=sized(5, 30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # each example replaces the rows of the ones before
@given(st.lists(edge_lines(), max_size=100))
@example([line(number, at) for at, number in enumerate(EDGES)])
def test_the_row_of_every_good_line_is_stored_exactly(
    emulator: Emulator, table: DynamoQuoteTable, contents: list[bytes]
) -> None:
    quotes = [good.line for content in contents for good in decode(content).good if isinstance(good.line, Quote)]
    rows = {(row["symbol"], row["timestamp"]): row for row in (quote_row(quote, Decimal(5), 0) for quote in quotes)}
    table.put(quotes, Decimal(5), 0)
    client = emulator.client("dynamodb")
    for key, row in rows.items():
        item = client.get_item(
            TableName=TABLE, Key={name: {"S": value} for name, value in zip(KEYS, key, strict=True)}
        )["Item"]
        stored = {name: Decimal(value["N"]) if "N" in value else value["S"] for name, value in item.items()}
        assert stored == row, json.dumps(item)
