"""DynamoDB: rows in batches, lanes' states on condition, both with bounded retries of what was left unprocessed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from processor_lambda.errors import LostRace, Unavailable
from processor_lambda.ports import Stored
from processor_lambda.rows import Attribute, Row
from processor_lambda.state import START, LaneState, pack, unpack
from quotes import to_iso

WRITE_LIMIT = 25
"""Items of one BatchWriteItem: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html"""
READ_LIMIT = 100
"""Keys of one BatchGetItem: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""
ATTEMPTS = 6
"""Of one batch while DynamoDB leaves items unprocessed: 3 s of waiting at the most, then Lambda's own retry."""
FIRST_PAUSE_SECONDS = 0.05
MARK_SUFFIX = "#published"

Item = dict[str, dict[str, Any]]
Call = Callable[..., Mapping[str, Any]]


class DynamoTable:
    """A table of rows with a hash and a range key."""

    def __init__(
        self, client: Any, name: str, key: tuple[str, str], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client, self._name, self._key, self._sleep = client, name, key, sleep

    def put(self, rows: Sequence[Row]) -> None:
        """See `ports.Table`."""
        # DynamoDB refuses a batch that names one key twice, and a packet may have been sent twice.
        unique = list({tuple(row[name] for name in self._key): row for row in rows}.values())
        for start in range(0, len(unique), WRITE_LIMIT):
            self._write([{"PutRequest": {"Item": _item(row)}} for row in unique[start : start + WRITE_LIMIT]])

    def _write(self, requests: list[Any]) -> None:
        for pause in _pauses():
            answer = _called(self._client.batch_write_item, RequestItems={self._name: requests})
            requests = answer.get("UnprocessedItems", {}).get(self._name, [])
            if not requests:
                return
            self._sleep(pause)
        raise Unavailable(f"{self._name}: {len(requests)} rows were left unprocessed {ATTEMPTS} times")


class DynamoBarTable(DynamoTable):
    """The table of bars."""

    def before(self, symbol: str, minute: datetime, count: int) -> list[Row]:
        """See `ports.BarTable`."""
        answer = _called(
            self._client.query,
            TableName=self._name,
            KeyConditionExpression="symbol = :symbol AND #minute < :minute",
            ExpressionAttributeNames={"#minute": "minute"},
            ExpressionAttributeValues={":symbol": {"S": symbol}, ":minute": {"S": to_iso(minute)}},
            ScanIndexForward=False,
            Limit=count,
        )
        return [_row(item) for item in reversed(answer["Items"])]


class DynamoStateTable:
    """The lanes' states: an item of each, and its published mark as an item beside it."""

    def __init__(self, client: Any, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client, self._name, self._sleep = client, name, sleep

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        """See `ports.StateTable`."""
        keys = [key for lane in lanes for key in (lane, lane + MARK_SUFFIX)]
        items: dict[str, Item] = {}
        for start in range(0, len(keys), READ_LIMIT):
            for item in self._read([{"lane": {"S": key}} for key in keys[start : start + READ_LIMIT]]):
                items[item["lane"]["S"]] = item
        return {
            lane: Stored(
                unpack(items[lane]["state"]["B"]) if lane in items else LaneState(),
                int(items[lane + MARK_SUFFIX]["published"]["N"]) if lane + MARK_SUFFIX in items else 0,
            )
            for lane in lanes
        }

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        """See `ports.StateTable`."""
        packed = pack(state)
        item = {"lane": {"S": lane}, "last_sequence": {"S": str(state.position)}, "state": {"B": packed}}
        if read.position == START:
            condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(lane)"}
        else:
            condition = {
                "ConditionExpression": "last_sequence = :read",
                "ExpressionAttributeValues": {":read": {"S": str(read.position)}},
            }
        try:
            _called(self._client.put_item, TableName=self._name, Item=item, **condition)
        except _ConditionFailed as error:
            raise LostRace(lane) from error
        return len(packed)

    def raise_mark(self, lane: str, published: int) -> None:
        """See `ports.StateTable`."""
        try:
            _called(
                self._client.put_item,
                TableName=self._name,
                Item={"lane": {"S": lane + MARK_SUFFIX}, "published": {"N": str(published)}},
                ConditionExpression="attribute_not_exists(lane) OR published < :published",
                ExpressionAttributeValues={":published": {"N": str(published)}},
            )
        except _ConditionFailed:
            return

    def _read(self, keys: list[Item]) -> list[Item]:
        found: list[Item] = []
        for pause in _pauses():
            answer = _called(
                self._client.batch_get_item, RequestItems={self._name: {"Keys": keys, "ConsistentRead": True}}
            )
            found += answer["Responses"].get(self._name, [])
            keys = answer.get("UnprocessedKeys", {}).get(self._name, {}).get("Keys", [])
            if not keys:
                return found
            self._sleep(pause)
        raise Unavailable(f"{self._name}: {len(keys)} items were left unread {ATTEMPTS} times")


class _ConditionFailed(Exception):
    pass


def _called(call: Call, **arguments: Any) -> Mapping[str, Any]:
    try:
        return call(**arguments)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ConditionalCheckFailedException":
            raise _ConditionFailed from error
        if code == "ValidationException":  # never taken, however often it comes: let Lambda bisect the batch
            raise
        raise Unavailable(f"DynamoDB: {error}") from error
    except BotoCoreError as error:
        raise Unavailable(f"DynamoDB: {error}") from error


def _pauses() -> list[float]:
    # Full jitter: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    return [random.uniform(0, FIRST_PAUSE_SECONDS * 2**attempt) for attempt in range(ATTEMPTS)]  # noqa: S311  (no secret)


def _item(row: Row) -> Item:
    return {name: _attribute(value) for name, value in row.items()}


def _row(item: Item) -> Row:
    return {name: value["S"] if "S" in value else Decimal(value["N"]) for name, value in item.items()}


def _attribute(value: Attribute) -> dict[str, str]:
    if isinstance(value, str):
        return {"S": value}
    return {"N": format(value, "f") if isinstance(value, Decimal) else str(value)}
