"""An HTTP proxy in front of the emulator that records requests, and answers chosen ones with an error."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from tests.fakes.fake_server import FakeServer, QuietHandler


OF_THE_CONNECTION = {"content-length", "expect", "transfer-encoding"}
"""The headers of a request that are not passed on as they are."""


class Request(msgspec.Struct, frozen=True):
    """A request, before it is answered."""

    method: str
    path: str
    target: str
    """The action in `X-Amz-Target`, such as `DynamoDB_20120810.PutItem`; empty for S3."""
    body: bytes


class Answer(msgspec.Struct, frozen=True):
    """An answer of the proxy itself."""

    status: int
    body: bytes


class FaultProxy(FakeServer):
    """Passes requests on to the emulator.

    `fault` sees each request first. It may return an answer, which replaces the emulator's, or another request to pass
    on. It may also block.
    """

    def __init__(self, upstream: str, tls: ssl.SSLContext | None = None) -> None:
        self.fault: Callable[[Request], Answer | Request | None] = lambda _: None
        self._upstream = urlsplit(upstream)
        proxy = self

        class Handler(QuietHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet; as two packets they would wait 40 ms for an acknowledgement

            def handle_expect_100(self) -> bool:
                expected = super().handle_expect_100()
                self.wfile.flush()  # the client sends the body only then
                return expected

            def _pass_on(self) -> None:
                body = self._body()
                request = Request(self.command, self.path, self.headers.get("X-Amz-Target") or "", body)
                fault = proxy.fault(request)
                if isinstance(fault, Answer):
                    self._answer(fault.status, [("Content-Type", "application/x-amz-json-1.0")], fault.body)
                    return
                if isinstance(fault, Request):
                    body = fault.body
                assert proxy._upstream.hostname
                connection = (
                    http.client.HTTPConnection(proxy._upstream.hostname, proxy._upstream.port, timeout=60)
                    if tls is None
                    else http.client.HTTPSConnection(
                        proxy._upstream.hostname, proxy._upstream.port, timeout=60, context=tls
                    )
                )
                headers = {name: value for name, value in self.headers.items() if name.lower() not in OF_THE_CONNECTION}
                connection.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
                response = connection.getresponse()
                content = response.read()
                kept = [
                    (k, v)
                    for k, v in response.getheaders()
                    if k.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server")
                ]
                of_head = response.headers.get("Content-Length") if self.command == "HEAD" else None
                self._answer(response.status, kept, content, of_head)
                connection.close()

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                chunks = []
                while size := int(self.rfile.readline().partition(b";")[0], 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                while self.rfile.readline().strip():
                    pass  # the trailers, which say nothing that an emulator needs
                return b"".join(chunks)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on  # noqa: N815  (http.server's names)

            def _answer(
                self, status: int, headers: list[tuple[str, str]], body: bytes, size: str | None = None
            ) -> None:
                """Answer with a body, or with the size of one that is not sent."""
                try:
                    self.send_response(status)
                    for name, value in headers:
                        self.send_header(name, value)
                    self.send_header("Content-Length", size or str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except ConnectionError:
                    self.close_connection = True  # the client was killed meanwhile

        super().__init__(Handler)
