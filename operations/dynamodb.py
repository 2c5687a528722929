"""DynamoDB: the tables of bars and of quotes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from operations.aws import answered
from operations.errors import Unavailable
from processor_lambda import errors
from processor_lambda.dynamodb import DynamoTable
from processor_lambda.rows import Row
from quotes import to_iso


class DynamoRows:
    """A table that rows are put into, with the processor's own retries of what was left unprocessed."""

    def __init__(self, client: Any, name: str, key: tuple[str, str]) -> None:
        self._client, self._name = client, name
        self._table = DynamoTable(client, name, key)

    def put(self, rows: Sequence[Row]) -> None:
        """See `ports.Rows`."""
        with answered(f"table {self._name}"), _ours():
            self._table.put(rows)


class DynamoBars(DynamoRows):
    """The table of bars, read consistently: what was just put is seen."""

    def __init__(self, client: Any, name: str) -> None:
        super().__init__(client, name, ("symbol", "minute"))

    def before(self, symbol: str, minute: datetime, count: int) -> list[Row]:
        """See `ports.Bars`. One page: 1 MB holds the thousand that anybody asks for."""
        with answered(f"table {self._name}"):
            answer = self._client.query(
                **self._query(symbol, "#minute < :end", {":end": minute}), ScanIndexForward=False, Limit=count
            )
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
                ":symbol": {"S": symbol},
                **{name: {"S": to_iso(time)} for name, time in times.items()},
            },
        }


@contextmanager
def _ours() -> Iterator[None]:
    try:
        yield
    except errors.Unavailable as error:
        raise Unavailable(str(error)) from error


def _row(item: Mapping[str, Mapping[str, str]]) -> Row:
    return {name: value["S"] if "S" in value else Decimal(value["N"]) for name, value in item.items()}
