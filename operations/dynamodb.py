"""DynamoDB: the tables of bars and of quotes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from aws_limits import DYNAMODB_BATCH_WRITE_ITEMS
from operations.aws import answered
from operations.errors import Unavailable
from processor_lambda.rows import Row
from quotes import to_iso

"""Items of one BatchWriteItem: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html"""
ATTEMPTS = 8
"""Of one batch while DynamoDB leaves items unprocessed: some 25 s of waiting at the most."""
_FIRST_PAUSE_SECONDS = 0.1

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class DynamoRows:
    """A table that rows are put into."""

    def __init__(self, client: Any, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client, self._name, self._sleep = client, name, sleep

    def put(self, rows: Sequence[Row]) -> None:
        """See `ports.Rows`."""
        for start in range(0, len(rows), DYNAMODB_BATCH_WRITE_ITEMS):
            self._write(
                [
                    {"PutRequest": {"Item": {name: _serialize(value) for name, value in row.items()}}}
                    for row in rows[start : start + DYNAMODB_BATCH_WRITE_ITEMS]
                ]
            )

    def _write(self, requests: list[Any]) -> None:
        for attempt in range(ATTEMPTS):
            with answered(f"table {self._name}"):
                answer = self._client.batch_write_item(RequestItems={self._name: requests})
            requests = answer.get("UnprocessedItems", {}).get(self._name, [])
            if not requests:
                return
            # Full jitter: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
            self._sleep(random.uniform(0, _FIRST_PAUSE_SECONDS * 2**attempt))  # noqa: S311  (no secret)
        raise Unavailable(f"table {self._name}: {len(requests)} rows were left unprocessed {ATTEMPTS} times")


class DynamoBars(DynamoRows):
    """The table of bars, read consistently: what was just put is seen."""

    def before(self, symbol: str, minute: datetime, count: int) -> list[Row]:
        """See `ports.Bars`. One page: 1 MB holds the thousand that anybody asks for."""
        query = self._query(symbol, "#minute < :end", {":end": minute})
        with answered(f"table {self._name}"):
            answer = self._client.query(**query, ScanIndexForward=False, Limit=count)
        return [_row(item) for item in reversed(answer["Items"])]

    def between(self, symbol: str, start: datetime, end: datetime) -> list[Row]:
        """See `ports.Bars`."""
        last = end - timedelta(milliseconds=1)  # both ends of BETWEEN are included
        query = self._query(symbol, "#minute BETWEEN :start AND :end", {":start": start, ":end": last})
        with answered(f"table {self._name}"):
            pages = self._client.get_paginator("query").paginate(**query)
            return [_row(item) for page in pages for item in page["Items"]]

    def _query(self, symbol: str, condition: str, times: Mapping[str, datetime]) -> dict[str, Any]:
        return {
            "TableName": self._name,
            "ConsistentRead": True,
            "KeyConditionExpression": f"symbol = :symbol AND {condition}",
            "ExpressionAttributeNames": {"#minute": "minute"},
            "ExpressionAttributeValues": {
                ":symbol": _serialize(symbol),
                **{name: _serialize(to_iso(time)) for name, time in times.items()},
            },
        }


def _row(item: Mapping[str, Any]) -> Row:
    return {name: _deserialize(value) for name, value in item.items()}
