"""MiniStack with a meter at its door. Run as a file, in MiniStack's own environment: it imports nothing else of ours.

Each call that is billed by its size or number becomes a JSON line of STOCKSTREAM_CALLS: what it was, to what, and how
big each of its parts was. The function's calls come through here like the producer's, which no hook in a client sees.
"""

from __future__ import annotations

import importlib.util
import json
import os
import urllib.parse
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Seen = tuple[str, str, list[int]]
"""An action such as `kinesis:PutRecords`, what it acts on, and the bytes of each part."""

_ITEM_SIZE = Path(__file__).parents[1] / "operations" / "item_size.py"


class Meter:
    """An ASGI application that passes everything on, and writes down the calls that succeeded."""

    def __init__(self, application: Application, calls: Path) -> None:
        self._application = application
        self._calls = calls.open("a", encoding="utf-8", buffering=1)
        spec = importlib.util.spec_from_file_location("item_size", _ITEM_SIZE)
        assert spec is not None  # noqa: S101  (the file is of this repository)
        assert spec.loader is not None  # noqa: S101
        self._sizes: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self._sizes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        body, answer, status = bytearray(), bytearray(), 0

        async def received() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            answer.extend(message.get("body", b""))
            await send(message)

        await self._application(scope, received, sent)
        if 200 <= status < 300:  # noqa: PLR2004  (HTTP's success)
            for action, place, sizes in self._seen(scope, bytes(body), bytes(answer)):
                self._calls.write(json.dumps({"action": action, "place": place, "sizes": sizes}) + "\n")

    def _seen(self, scope: Scope, body: bytes, answer: bytes) -> Iterator[Seen]:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        service, _, operation = headers.get("x-amz-target", "").partition(".")
        if service.startswith("Kinesis") and operation == "PutRecords":
            request = json.loads(body)
            yield "kinesis:PutRecords", request.get("StreamName") or request["StreamARN"], self._records(request)
        elif service.startswith("DynamoDB") and operation in ("PutItem", "BatchWriteItem", "BatchGetItem", "Query"):
            yield from self._items(operation, json.loads(body), json.loads(answer))
        elif service.startswith("AmazonSQS") and operation == "SendMessage":
            yield "sqs:SendMessage", "", [len(body)]
        elif b"Action=Publish" in body[:2000]:
            form = urllib.parse.parse_qsl(body)
            yield "sns:Publish", "", [len(value) for name, value in form if name.endswith(b"Message")]
        elif "/s3/" in headers.get("authorization", ""):
            query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"))
            if scope["method"] == "PUT" and not query:
                yield "s3:PutObject", urllib.parse.unquote(scope["path"]), [len(body)]
            elif scope["method"] == "GET" and "list-type" in query:
                yield "s3:ListObjectsV2", "".join(query.get("prefix", [])), [0]

    def _records(self, request: Any) -> list[int]:
        return [
            self._sizes.decoded_size(record["Data"]) + len(record["PartitionKey"].encode())
            for record in request["Records"]
        ]

    def _items(self, operation: str, request: Any, answer: Any) -> Iterator[Seen]:
        size = self._sizes.item_size
        if operation == "PutItem":
            yield "dynamodb:PutItem", request["TableName"], [size(request["Item"])]
        elif operation == "BatchWriteItem":
            for table, writes in request["RequestItems"].items():
                puts = [size(write["PutRequest"]["Item"]) for write in writes if "PutRequest" in write]
                yield "dynamodb:BatchWriteItem", table, puts
        elif operation == "Query":
            yield "dynamodb:Query", request["TableName"], [sum(size(item) for item in answer["Items"])]
        else:
            for table, wanted in request["RequestItems"].items():
                found = [size(item) for item in answer["Responses"].get(table, [])]
                yield "dynamodb:BatchGetItem", table, found + [0] * (len(wanted["Keys"]) - len(found))


def main() -> None:
    """Run MiniStack behind the meter."""
    import ministack.app  # noqa: PLC0415  (it is no package of the tests' environment)

    ministack.app.app = Meter(ministack.app.app, Path(os.environ["STOCKSTREAM_CALLS"]))
    ministack.app.main()


if __name__ == "__main__":
    main()
