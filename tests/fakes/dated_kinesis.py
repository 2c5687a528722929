"""A Kinesis on this machine that keeps what it gets, and states the time in its answers."""

from __future__ import annotations

import json
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from processor_lambda.records import Record

STREAM = "quotes"
_SUMMARY = {
    "StreamDescriptionSummary": {
        "StreamName": STREAM,
        "StreamARN": f"arn:aws:kinesis:us-east-1:000000000000:stream/{STREAM}",
        "StreamStatus": "ACTIVE",
        "RetentionPeriodHours": 24,
        "StreamCreationTimestamp": 0,
        "EnhancedMonitoring": [],
        "OpenShardCount": 1,
    }
}


class DatedKinesis:
    """Takes every record. `clock` is its time in seconds since the epoch. Its answers have no date if `states_time` is
    not set."""

    def __init__(self, clock: Callable[[], float] = time.time, *, states_time: bool = True) -> None:
        self.clock = clock
        self.states_time = states_time
        self.records: list[Record] = []
        self.url = ""

    @contextmanager
    def running(self) -> Iterator[DatedKinesis]:
        """Answer until the block ends."""
        kinesis = self

        class Handler(_Handler):
            def answer(self, action: str, request: dict[str, Any]) -> dict[str, Any]:
                return kinesis.answer(action, request)

            def date(self) -> str | None:
                return formatdate(kinesis.clock(), usegmt=True) if kinesis.states_time else None

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def answer(self, action: str, request: dict[str, Any]) -> dict[str, Any]:
        """The body of an answer."""
        if action != "PutRecords":
            return _SUMMARY
        arrival = datetime.fromtimestamp(self.clock(), UTC)
        for entry in request["Records"]:
            self.records.append(
                Record(
                    stream=STREAM,
                    shard="shardId-000000000000",
                    sequence_number=len(self.records) + 1,
                    partition_key=entry["PartitionKey"],
                    arrival=arrival,
                    data=b64decode(entry["Data"]),
                )
            )
        stored = {"SequenceNumber": "1", "ShardId": "shardId-000000000000"}
        return {"FailedRecordCount": 0, "Records": [stored] * len(request["Records"])}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, action: str, request: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def date(self) -> str | None:
        raise NotImplementedError

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(self.answer(self.headers["X-Amz-Target"].rpartition(".")[2], request)).encode()
        self.send_response_only(200)
        if date := self.date():
            self.send_header("Date", date)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""
