"""DynamoDB: the tables of quotes and of bars."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from aws_limits import DYNAMODB_BATCH_WRITE_ITEMS
from bars.keys import ONE_MINUTE, KeyRange, bar_keys
from operations.aws import translated_errors
from operations.errors import Unavailable
from processor_lambda.rows import Row

ATTEMPTS = 8
"""How many times a batch is sent if DynamoDB leaves items unprocessed. The pauses add up to at most 25 s."""
_FIRST_PAUSE_SECONDS = 0.1

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class DynamoTable:
    """A table to which rows are written.

    It does not use boto3's `batch_writer`, which repeats unprocessed items at once and without a limit.
    """

    def __init__(self, client: Any, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client, self._name, self._sleep = client, name, sleep

    def put(self, rows: Sequence[Row]) -> None:
        """See `ports.Table`."""
        for start in range(0, len(rows), DYNAMODB_BATCH_WRITE_ITEMS):
            self._write(
                [
                    {"PutRequest": {"Item": {name: _serialize(value) for name, value in row.items()}}}
                    for row in rows[start : start + DYNAMODB_BATCH_WRITE_ITEMS]
                ]
            )

    def _write(self, requests: list[Any]) -> None:
        for attempt in range(ATTEMPTS):
            with translated_errors(f"table {self._name}"):
                answer = self._client.batch_write_item(RequestItems={self._name: requests})
            requests = answer.get("UnprocessedItems", {}).get(self._name, [])
            if not requests:
                return
            # Full jitter: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
            self._sleep(random.uniform(0, _FIRST_PAUSE_SECONDS * 2**attempt))  # noqa: S311  (no secret)
        raise Unavailable(f"table {self._name}: {len(requests)} rows were left unprocessed {ATTEMPTS} times")


class DynamoBarTable(DynamoTable):
    """The table of bars. All reads are strongly consistent."""

    def before(self, symbol: str, minute: datetime, count: int) -> list[Row]:
        """See `ports.BarTable`. It reads one page of at most 1 MB, which holds the 1,000 rows that `rebuild` needs."""
        query = self.query(symbol, bar_keys(ONE_MINUTE, None, minute))
        with translated_errors(f"table {self._name}"):
            answer = self._client.query(**query, ScanIndexForward=False, Limit=count)
        return [row_of(item) for item in reversed(answer["Items"])]

    def between(self, symbol: str, start: datetime, end: datetime) -> list[Row]:
        """See `ports.BarTable`."""
        query = self.query(symbol, bar_keys(ONE_MINUTE, start, end))
        with translated_errors(f"table {self._name}"):
            pages = self._client.get_paginator("query").paginate(**query)
            return [row_of(item) for page in pages for item in page["Items"]]

    def query(self, symbol: str, keys: KeyRange) -> dict[str, Any]:
        """The consistent query for the rows of a symbol with some keys."""
        return {
            "TableName": self._name,
            "ConsistentRead": True,
            "KeyConditionExpression": "symbol = :symbol AND #key BETWEEN :first AND :last",
            "ExpressionAttributeNames": {"#key": "key"},
            "ExpressionAttributeValues": {
                ":symbol": _serialize(symbol),
                ":first": _serialize(keys.first),
                ":last": _serialize(keys.last),
            },
        }


def row_of(item: Mapping[str, Any]) -> Row:
    """The row in an item, as the SDK returns it."""
    return {name: _deserialize(value) for name, value in item.items()}
