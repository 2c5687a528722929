"""DynamoDB: writes rows in batches, and commits lanes' states with a condition. Unprocessed items are retried."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from aws_limits import DYNAMODB_BATCH_GET_KEYS, DYNAMODB_BATCH_WRITE_ITEMS
from aws_requests import ATTEMPTS, Refused, Service, Unavailable, attempts
from bars.keys import ONE_MINUTE, bar_keys
from lane_state import START, Checkpoint, LaneState, pack, pack_checkpoint, unpack, unpack_checkpoint
from processor_lambda.errors import CommitConflict, PermanentFailure
from processor_lambda.ports import Stored
from processor_lambda.rows import Row, StoredAttribute, quote_items, row_of
from processor_lambda.stored_alerts import StoredAlert
from quotes import Quote

MARK_SUFFIX = "#published"
"""The key of a lane's published mark is the lane's key with this suffix."""
CHECKPOINT_SUFFIX = "#indicators"
"""The key of a lane's checkpoint is the lane's key with this suffix."""

T = TypeVar("T")

_encode = msgspec.json.Encoder(decimal_format="string").encode


# Attributes and requests are structs, not dictionaries, because that halves the CPU of a row.
class _Text(msgspec.Struct, frozen=True, gc=False):
    S: str


class _Number(msgspec.Struct, frozen=True, gc=False):
    N: str


class _Exact(msgspec.Struct, frozen=True, gc=False):
    N: Decimal


class _Bytes(msgspec.Struct, frozen=True, gc=False):
    B: bytes


_Item = dict[str, _Text | _Number | _Bytes]


class _Map(msgspec.Struct, frozen=True):
    M: dict[str, _Exact]


class _List(msgspec.Struct, frozen=True):
    L: list[_Text]


class _PutRequest(msgspec.Struct, frozen=True):
    Item: dict[str, _Text | _Number | _Exact | _Map | _List]


class _WriteRequest(msgspec.Struct, frozen=True):
    PutRequest: _PutRequest


class _BatchWriteResponse(msgspec.Struct, frozen=True):
    UnprocessedItems: dict[str, list[msgspec.Raw]]


class _StateItem(msgspec.Struct, frozen=True):
    """An item of the state table: a lane's state, its published mark, or its checkpoint."""

    lane: _Text
    state: _Bytes | None = None
    published: _Number | None = None
    indicators: _Bytes | None = None


class _Keys(msgspec.Struct, frozen=True):
    Keys: list[dict[str, _Text]]
    ConsistentRead: bool = True


class _BatchGetResponse(msgspec.Struct, frozen=True):
    Responses: dict[str, list[_StateItem]]
    UnprocessedKeys: dict[str, _Keys] = {}


class _QueryResponse(msgspec.Struct, frozen=True):
    Items: list[dict[str, StoredAttribute]]


class _PutResponse(msgspec.Struct, frozen=True):
    """The response to PutItem. Its content is not needed."""


class _Table:
    """A table of rows."""

    def __init__(self, service: Service, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._service, self._name, self._sleep = service, name, sleep

    def _write(self, requests: Sequence[_WriteRequest | msgspec.Raw]) -> None:
        """Send requests for the rows of different keys."""
        for start in range(0, len(requests), DYNAMODB_BATCH_WRITE_ITEMS):
            self._write_batch(requests[start : start + DYNAMODB_BATCH_WRITE_ITEMS])

    def _write_batch(self, requests: Sequence[_WriteRequest | msgspec.Raw]) -> None:
        for _ in attempts(self._sleep):
            request = {"RequestItems": {self._name: requests}}
            response = _call(self._service, "BatchWriteItem", request, _BatchWriteResponse)
            requests = response.UnprocessedItems.get(self._name, [])
            if not requests:
                return
        raise Unavailable(f"{self._name}: {len(requests)} rows are still unprocessed after {ATTEMPTS} attempts")


class DynamoQuoteTable(_Table):
    """The table of quotes."""

    def put(self, quotes: Sequence[Quote], anomaly_percent: Decimal, ttl_days: int) -> None:
        """See `ports.QuoteTable`."""
        items = quote_items(quotes, anomaly_percent, ttl_days)
        self._write([msgspec.Raw(f'{{"PutRequest":{{"Item":{item}}}}}') for item in items])


class DynamoBarTable(_Table):
    """The table of bars."""

    def put(self, rows: Sequence[Row]) -> None:
        """See `ports.BarTable`."""
        # The bars of a batch may have a key twice, and DynamoDB refuses a request with the same key twice.
        unique = {(row["symbol"], row["key"]): row for row in rows}
        self._write([_WriteRequest(_PutRequest(_item(row))) for row in unique.values()])

    def before(self, symbol: str, minute: datetime, count: int) -> list[Row]:
        """See `ports.BarTable`."""
        first, last = bar_keys(ONE_MINUTE, None, minute)
        request = {
            "TableName": self._name,
            "KeyConditionExpression": "symbol = :symbol AND #key BETWEEN :first AND :last",
            "ExpressionAttributeNames": {"#key": "key"},
            "ExpressionAttributeValues": {":symbol": _Text(symbol), ":first": _Text(first), ":last": _Text(last)},
            "ScanIndexForward": False,
            "Limit": count,
        }
        response = _call(self._service, "Query", request, _QueryResponse)
        return [row_of(item) for item in reversed(response.Items)]


class DynamoAlertTable(_Table):
    """The table of published alerts."""

    def put(self, alerts: Sequence[StoredAlert]) -> None:
        """See `ports.AlertTable`."""
        unique = {stored.key: stored for stored in alerts}
        self._write([_WriteRequest(_PutRequest(_alert_item(stored))) for stored in unique.values()])


class DynamoStateTable:
    """The table of the lanes' states. A lane has three items: its state, its published mark and its checkpoint."""

    def __init__(self, service: Service, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._service, self._name, self._sleep = service, name, sleep

    def read(self, lanes: Collection[str]) -> dict[str, Stored]:
        """See `ports.StateTable`."""
        keys = [lane + suffix for lane in lanes for suffix in ("", MARK_SUFFIX, CHECKPOINT_SUFFIX)]
        items = {
            item.lane.S: item
            for start in range(0, len(keys), DYNAMODB_BATCH_GET_KEYS)
            for item in self._read(keys[start : start + DYNAMODB_BATCH_GET_KEYS])
        }
        return {
            lane: Stored(
                _state_in(items.get(lane)),
                _mark_in(items.get(lane + MARK_SUFFIX)),
                _checkpoint_in(items.get(lane + CHECKPOINT_SUFFIX)),
            )
            for lane in lanes
        }

    def commit(self, lane: str, state: LaneState, read: LaneState) -> int:
        """See `ports.StateTable`."""
        packed = pack(state)
        item: _Item = {
            "lane": _Text(lane),
            "last_sequence": _Text(str(state.position)),
            "state": _Bytes(packed),
        }
        if state.edits:
            item["edits"] = _Number(str(state.edits))
        if read.position == START:
            is_stored = self._put(item, "attribute_not_exists(lane)")
        elif read.edits == 0:
            is_stored = self._put(
                item,
                "last_sequence = :read AND attribute_not_exists(edits)",
                {":read": _Text(str(read.position))},
            )
        else:
            is_stored = self._put(
                item,
                "last_sequence = :read AND edits = :edits",
                {":read": _Text(str(read.position)), ":edits": _Number(str(read.edits))},
            )
        if not is_stored:
            raise CommitConflict(lane)
        return len(packed)

    def write_checkpoint(self, lane: str, checkpoint: Checkpoint, replaced: int) -> int:
        """See `ports.StateTable`."""
        packed = pack_checkpoint(checkpoint)
        item: _Item = {
            "lane": _Text(lane + CHECKPOINT_SUFFIX),
            "checkpoint": _Number(str(checkpoint.number)),
            "indicators": _Bytes(packed),
        }
        if replaced == 0:
            is_stored = self._put(item, "attribute_not_exists(lane)")
        else:
            is_stored = self._put(item, "checkpoint = :replaced", {":replaced": _Number(str(replaced))})
        if not is_stored:
            raise CommitConflict(lane)
        return len(packed)

    def raise_mark(self, lane: str, published: int) -> None:
        """See `ports.StateTable`."""
        mark = _Number(str(published))
        self._put(
            {"lane": _Text(lane + MARK_SUFFIX), "published": mark},
            "attribute_not_exists(lane) OR published < :published",
            {":published": mark},
        )

    def _put(self, item: _Item, condition: str, values: _Item | None = None) -> bool:
        """Put an item if a condition holds. Returns whether it does."""
        request: dict[str, Any] = {"TableName": self._name, "Item": item, "ConditionExpression": condition}
        if values is not None:
            request["ExpressionAttributeValues"] = values
        try:
            _call(self._service, "PutItem", request, _PutResponse)
        except Refused as error:
            if error.code == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def _read(self, keys: Sequence[str]) -> Iterator[_StateItem]:
        remaining = _Keys([{"lane": _Text(key)} for key in keys])
        for _ in attempts(self._sleep):
            request = {"RequestItems": {self._name: remaining}}
            response = _call(self._service, "BatchGetItem", request, _BatchGetResponse)
            yield from response.Responses.get(self._name, [])
            unprocessed = response.UnprocessedKeys.get(self._name)
            if unprocessed is None:
                return
            remaining = _Keys(unprocessed.Keys)
        raise Unavailable(f"{self._name}: {len(remaining.Keys)} items are still unread after {ATTEMPTS} attempts")


def _call(service: Service, operation: str, request: dict[str, Any], kind: type[T]) -> T:
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"DynamoDB_20120810.{operation}"}
    try:
        return service.call(operation, headers, _encode(request), kind)
    except Refused as error:
        if error.code == "ValidationException":
            raise PermanentFailure(str(error)) from error
        raise


def _state_in(item: _StateItem | None) -> LaneState:
    return LaneState() if item is None or item.state is None else unpack(item.state.B)


def _mark_in(item: _StateItem | None) -> int:
    return 0 if item is None or item.published is None else int(item.published.N)


def _checkpoint_in(item: _StateItem | None) -> Checkpoint | None:
    return None if item is None or item.indicators is None else unpack_checkpoint(item.indicators.B)


def _alert_item(stored: StoredAlert) -> dict[str, _Text | _Number | _Exact | _Map | _List]:
    alert, (day, key) = stored.alert, stored.key
    item: dict[str, _Text | _Number | _Exact | _Map | _List] = {
        "day": _Text(day),
        "key": _Text(key),
        "id": _Text(alert.id),
        "rule": _Text(alert.rule),
        "severity": _Text(alert.severity),
        "symbol": _Text(alert.symbol),
        "timestamp": _Text(alert.timestamp),
        "subject": _Text(alert.subject),
        "values": _Map({name: _Exact(value) for name, value in alert.values.items()}),
    }
    if alert.symbols:
        item["symbols"] = _List([_Text(symbol) for symbol in alert.symbols])
    if stored.expires_at is not None:
        item["expires_at"] = _Number(str(stored.expires_at))
    return item


def _item(row: Row) -> dict[str, _Text | _Number | _Exact | _Map | _List]:
    return {
        name: _Text(value) if type(value) is str else _Exact(value) if type(value) is Decimal else _Number(str(value))
        for name, value in row.items()
    }
