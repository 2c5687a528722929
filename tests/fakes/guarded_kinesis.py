"""A Kinesis endpoint that accepts only some access keys, and a metadata service that hands keys out."""

from __future__ import annotations

import json
import re

from tests.fakes.fake_server import FakeServer, QuietHandler

STORED = {"SequenceNumber": "1", "ShardId": "shardId-000000000000"}


class GuardedKinesis(FakeServer):
    """Stores records of requests that are signed with the key `good`, and refuses others with `error`."""

    def __init__(self) -> None:
        self.good = "GOOD"
        self.error = "UnrecognizedClientException"
        self.metadata: bytes | None = None
        """The body of the metadata service. None is an answer 500."""
        self.stored = 0
        kinesis = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:  # noqa: N802  (http.server's name)
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                key = re.search(r"Credential=([^/]+)/", self.headers.get("Authorization", ""))
                if key is None or key[1] != kinesis.good:
                    self._answer(400, json.dumps({"__type": kinesis.error, "message": "no"}).encode())
                    return
                kinesis.stored += len(body["Records"])
                self._answer(200, json.dumps({"Records": [STORED] * len(body["Records"])}).encode())

            def do_GET(self) -> None:  # noqa: N802  (http.server's name)
                if kinesis.metadata is None:
                    self._answer(500, b"not ready")
                else:
                    self._answer(200, kinesis.metadata)

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        super().__init__(Handler)
