"""A local server in place of AWS. It accepts every row, object, alert and message at once, and counts the requests.

    python -m benchmarks.sink

It runs in a process of its own, so that its CPU does not count as the function's. It prints its port, and ends when its
standard input ends. `GET /counts` returns the number of requests of each operation. It stores nothing: every lane reads
as new, and every symbol has the stored bars that `events` gives it.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, cast

import msgspec

from benchmarks.events import stored_bars
from processor_lambda.alerts.rules_file import DEFAULT_FILE

HOST = "127.0.0.1"
TABLES = {
    "QUOTES_TABLE": "sink-quotes",
    "BARS_TABLE": "sink-bars",
    "STATE_TABLE": "sink-state",
    "ALERTS_TABLE": "sink-alerts",
}

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TARGET = re.compile(rb"\r\nx-amz-target: *\w+\.(\w+)", re.IGNORECASE)
_ACTION = re.compile(rb"Action=(\w+)")
_ENTRY_ID = re.compile(rb"&PublishBatchRequestEntries\.member\.\d+\.Id=(\d+)")
_TABLE = re.compile(rb'"sink-(\w+)"')
_RESPONSES = {
    "GetObject": DEFAULT_FILE.read_bytes(),  # the alert rules
    "BatchGetItem": b'{"Responses":{},"UnprocessedKeys":{}}',
    "BatchWriteItem": b'{"UnprocessedItems":{}}',
}


class _Entries(msgspec.Struct):
    Entries: list[dict[str, msgspec.Raw]]


class _Query(msgspec.Struct):
    ExpressionAttributeValues: dict[str, dict[str, str]]
    Limit: int


class _Connection(asyncio.Protocol):
    """One persistent connection."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for the responses."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Respond to every request that is complete."""
        self._received += data
        while True:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            found = _LENGTH.search(head)
            length = int(found[1]) if found else 0
            if len(rest) < length:
                if b"100-continue" in head and not rest:  # boto3 asks for this before it sends an object
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            self._received = rest[length:]
            response = self._response(head, rest[:length])
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(response), response))

    def _response(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"GET /counts "):
            return msgspec.json.encode(self._counts)
        found = _TARGET.search(head) or _ACTION.search(body)
        operation = found[1].decode() if found else "GetObject" if head.startswith(b"GET ") else "PutObject"
        table = _TABLE.search(body)
        target = "mark" if b'#published"' in body[:200] else table[1].decode() if table else ""
        self._counts[f"{operation} {target}".strip()] += 1
        if operation == "Query":
            query = msgspec.json.decode(body, type=_Query)
            items = stored_bars(query.ExpressionAttributeValues[":symbol"]["S"], query.Limit)
            return msgspec.json.encode({"Items": items, "Count": len(items)})
        if operation == "SendMessageBatch":
            entries = msgspec.json.decode(body, type=_Entries).Entries
            return msgspec.json.encode({"Successful": [{"Id": entry["Id"]} for entry in entries]})
        if operation == "PublishBatch":
            members = b"".join(b"<member><Id>%s</Id></member>" % entry for entry in _ENTRY_ID.findall(body))
            return b"<PublishBatchResponse><Successful>%s</Successful></PublishBatchResponse>" % members
        return _RESPONSES.get(operation, b"" if operation == "PutObject" else b"{}")


async def serve() -> None:
    """Listen on a free port, print it, and respond until standard input ends."""
    counts: Counter[str] = Counter()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(counts), HOST, 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    # The process that started this one holds the other end. So this one ends with it, however that ends.
    await asyncio.to_thread(sys.stdin.read)
    server.close()


@contextmanager
def running() -> Iterator[Mapping[str, str]]:
    """Start the sink, and end it after the block. Yields the environment that makes a function use it."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sink"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        stdin, stdout = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
        try:
            yield {
                **TABLES,
                "ARCHIVE_BUCKET": "sink",
                "ALERTS_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:sink",
                "RULES_KEY": "rules.toml",
                "QUARANTINE_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/sink",
                "AWS_ENDPOINT_URL": f"http://{HOST}:{int(stdout.readline())}",
                "AWS_REGION": "us-east-1",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_SESSION_TOKEN": "a token, as every function has",
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": "/dev/null",
                "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            }
        finally:
            stdin.close()


def counts(endpoint: str) -> Counter[str]:
    """How many requests the sink at an endpoint has received, by operation and table."""
    open_ = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    with open_(f"{endpoint}/counts", timeout=10) as response:
        return Counter(msgspec.json.decode(response.read(), type=dict[str, int]))


if __name__ == "__main__":
    asyncio.run(serve())
