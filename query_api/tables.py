"""DynamoDB: pages of items, and the lanes' states. With `queue`, the only module that makes requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import msgspec

from aws_limits import DYNAMODB_BATCH_GET_KEYS
from aws_requests import ATTEMPTS, Service, Unavailable, attempts
from query_api.ports import Item, Page

T = TypeVar("T")


class _Key(msgspec.Struct, frozen=True):
    S: str


class _Bytes(msgspec.Struct, frozen=True):
    B: bytes


class _QueryResponse(msgspec.Struct, frozen=True):
    Items: list[Item]
    LastEvaluatedKey: dict[str, _Key] | None = None


class _StateItem(msgspec.Struct, frozen=True):
    lane: _Key
    state: _Bytes | None = None


class _Keys(msgspec.Struct, frozen=True):
    Keys: list[dict[str, _Key]]


class _BatchGetResponse(msgspec.Struct, frozen=True):
    Responses: dict[str, list[_StateItem]]
    UnprocessedKeys: dict[str, _Keys] = {}


class DynamoTable:
    """A table with a partition key and a range key."""

    def __init__(self, service: Service, name: str, partition_key: str, range_key: str) -> None:
        self._service, self._name = service, name
        self._partition_key, self._range_key = partition_key, range_key

    def read(
        self,
        partition: str,
        first: str,
        last: str,
        *,
        newest_first: bool,
        limit: int,
        after: str | None = None,
        only: Collection[str] = (),
    ) -> Page:
        """See `ports.Table`."""
        request: dict[str, Any] = {
            "TableName": self._name,
            "KeyConditionExpression": "#partition = :partition AND #range BETWEEN :first AND :last",
            "ExpressionAttributeNames": {"#partition": self._partition_key, "#range": self._range_key},
            "ExpressionAttributeValues": {":partition": _Key(partition), ":first": _Key(first), ":last": _Key(last)},
            "ScanIndexForward": not newest_first,
            "Limit": limit,
        }
        if only:
            names = {f"#only{number}": name for number, name in enumerate(only)}
            request["ProjectionExpression"] = ", ".join(names)
            request["ExpressionAttributeNames"] |= names
        if after is not None:
            request["ExclusiveStartKey"] = {self._partition_key: _Key(partition), self._range_key: _Key(after)}
        response = _call(self._service, "Query", request, _QueryResponse)
        return Page(response.Items, response.LastEvaluatedKey is None)


class DynamoStateTable:
    """The table of the lanes' states.

    Reads are eventually consistent, which costs half. A state may be as old as the one before it for a moment.
    """

    def __init__(self, service: Service, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._service, self._name, self._sleep = service, name, sleep

    def read(self, lanes: Collection[str]) -> dict[str, bytes]:
        """See `ports.StateTable`. A stream has at most 99 lanes, and one request takes 100 keys."""
        remaining = _Keys([{"lane": _Key(lane)} for lane in lanes][:DYNAMODB_BATCH_GET_KEYS])
        states: dict[str, bytes] = {}
        for _ in attempts(self._sleep):
            request = {"RequestItems": {self._name: remaining}}
            response = _call(self._service, "BatchGetItem", request, _BatchGetResponse)
            for item in response.Responses.get(self._name, ()):
                if item.state is not None:
                    states[item.lane.S] = item.state.B
            unprocessed = response.UnprocessedKeys.get(self._name)
            if unprocessed is None:
                return states
            remaining = unprocessed
        raise Unavailable(f"{self._name}: {len(remaining.Keys)} items are still unread after {ATTEMPTS} attempts")


def _call(service: Service, operation: str, request: dict[str, Any], kind: type[T]) -> T:
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"DynamoDB_20120810.{operation}"}
    return service.call(operation, headers, msgspec.json.encode(request), kind)
