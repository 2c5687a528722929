"""Runs MiniStack behind a proxy that records the calls that AWS would bill, with a push like that of Kinesis.

It runs as a file, in an environment that has MiniStack, and imports no package of this project. Each call that AWS
bills by size or by number becomes a JSON line of the file STOCKSTREAM_CALLS: the action, what it acts on, and the bytes
of each part. The proxy sees the calls of the function and of the producer alike. A hook in a client would miss the
function's.
"""

from __future__ import annotations

import json
import os
import runpy
import urllib.parse
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import ministack.app
import ministack.services.kinesis

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
BilledCall = tuple[str, str, list[int]]
"""An action such as `kinesis:PutRecords`, what it acts on, and the bytes of each part."""

_ITEM_SIZE = runpy.run_path(str(Path(__file__).parents[1] / "costs" / "item_size.py"))
_decoded_size: Callable[[str], int] = _ITEM_SIZE["decoded_size"]
_item_size: Callable[[Any], int] = _ITEM_SIZE["item_size"]


class MeteringProxy:
    """An ASGI application that passes every request on, and records the billed calls that succeeded."""

    def __init__(self, application: Application, calls: Path) -> None:
        self._application = application
        self._calls = calls.open("a", encoding="utf-8", buffering=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        body, answer, status = bytearray(), bytearray(), 0
        keeps_answer = _target(scope).startswith("DynamoDB")  # an answer of SubscribeToShard goes on for minutes

        async def recording_receive() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def recording_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            if keeps_answer:
                answer.extend(message.get("body", b""))
            await send(message)

        await self._application(scope, recording_receive, recording_send)
        if 200 <= status < 300 or status == HTTPStatus.NOT_MODIFIED:  # noqa: PLR2004  (HTTP's success)
            for action, place, sizes in _billed_calls(scope, bytes(body), bytes(answer)):
                self._calls.write(json.dumps({"action": action, "place": place, "sizes": sizes}) + "\n")


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _target(scope: Scope) -> str:
    """The service and the operation of a request in AWS's JSON protocols."""
    return _headers(scope).get("x-amz-target", "")


def _billed_calls(scope: Scope, body: bytes, answer: bytes) -> Iterator[BilledCall]:
    headers = _headers(scope)
    service, _, operation = _target(scope).partition(".")
    if service.startswith("Kinesis") and operation == "PutRecords":
        request = json.loads(body)
        yield "kinesis:PutRecords", request.get("StreamName") or request["StreamARN"], _record_sizes(request)
    elif service.startswith("DynamoDB") and operation in ("PutItem", "BatchWriteItem", "BatchGetItem", "Query"):
        yield from _dynamodb_calls(operation, json.loads(body), json.loads(answer))
    elif service.startswith("AmazonSQS") and operation == "SendMessage":
        yield "sqs:SendMessage", "", [len(body)]
    elif b"Action=Publish" in body[:2000]:
        form = urllib.parse.parse_qsl(body)
        yield "sns:Publish", "", [len(value) for name, value in form if name.endswith(b"Message")]
    elif "/s3/" in headers.get("authorization", ""):
        query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"))
        if scope["method"] == "PUT" and not query:
            yield "s3:PutObject", urllib.parse.unquote(scope["path"]), [len(body)]
        elif scope["method"] == "GET" and not query:
            yield "s3:GetObject", urllib.parse.unquote(scope["path"]), [0]
        elif scope["method"] == "GET" and "list-type" in query:
            yield "s3:ListObjectsV2", "".join(query.get("prefix", [])), [0]


def _record_sizes(request: Any) -> list[int]:
    return [_decoded_size(record["Data"]) + len(record["PartitionKey"].encode()) for record in request["Records"]]


def _dynamodb_calls(operation: str, request: Any, answer: Any) -> Iterator[BilledCall]:
    if operation == "PutItem":
        yield "dynamodb:PutItem", request["TableName"], [_item_size(request["Item"])]
    elif operation == "BatchWriteItem":
        for table, writes in request["RequestItems"].items():
            puts = [_item_size(write["PutRequest"]["Item"]) for write in writes if "PutRequest" in write]
            yield "dynamodb:BatchWriteItem", table, puts
    elif operation == "Query":
        yield "dynamodb:Query", request["TableName"], [sum(map(_item_size, answer["Items"]))]
    else:
        for table, request_of_table in request["RequestItems"].items():
            found = list(map(_item_size, answer["Responses"].get(table, [])))
            missing = len(request_of_table["Keys"]) - len(found)
            yield "dynamodb:BatchGetItem", table, found + [0] * missing


if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).with_name("emulator_push.py")))["install"](ministack.services.kinesis)
    ministack.app.app = MeteringProxy(ministack.app.app, Path(os.environ["STOCKSTREAM_CALLS"]))
    ministack.app.main()
