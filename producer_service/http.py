"""The HTTP endpoints /metrics, /healthz, /readyz and /status. Any other path is 404."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, cast

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from producer_service.health import Health
from terminal.masking import masked

MAX_CONNECTIONS = 64
"""The most open connections. Each takes a thread and a descriptor."""
REQUEST_SECONDS = 5.0
"""How long a connection may take, from its opening to the last byte of the answer."""
PATIENCE_SECONDS = 0.05
"""How long a connection may wait with its request while others wait for its place. A health check needs a fraction."""
_LOOK_SECONDS = 0.1  # how often the ages of connections are looked at

_TEXT = "text/plain; charset=utf-8"

log = structlog.get_logger(__name__)


class Server:
    """Serves the endpoints from a thread of its own. `status` returns the JSON of /status.

    The constructor binds the port and raises OSError if it cannot.
    """

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, health: Health, status: Callable[[], bytes]
    ) -> None:
        class Handler(_Handler):
            def answer(self, path: str) -> tuple[int, str, bytes]:
                return _answer(path, self.headers.get("Accept", ""), registry, health, status)

        self._server = _BoundedServer(host, port, Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_LOOK_SECONDS,), name="http", daemon=True
        )

    @property
    def port(self) -> int:
        """The port that is bound."""
        port: int = self._server.server_address[1]
        return port

    def start(self) -> None:
        """Start answering."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering, and release the port."""
        self._server.shutdown()
        self._server.server_close()


class _BoundedServer(ThreadingTCPServer):
    """Keeps the number and the age of its connections within bounds, so that a flood of slow ones takes little.

    A new connection takes the place of those that have not sent their request. So a client that sends it at once, such
    as a health check, is answered during a flood too.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self._changed = threading.Condition()
        self._opened: dict[socket.socket, float] = {}
        self._answering: set[socket.socket] = set()
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # `::` stands for IPv4 as well
        super().server_bind()

    def get_request(self) -> tuple[Any, Any]:
        try:
            return super().get_request()
        except OSError:
            time.sleep(PATIENCE_SECONDS)  # without descriptors, accepting would fail again at once
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            deadline = time.monotonic() + REQUEST_SECONDS
            while len(self._opened) >= MAX_CONNECTIONS:
                if time.monotonic() > deadline:
                    raise TimeoutError("every connection is being answered")
                self._cut(PATIENCE_SECONDS, self._opened.keys() - self._answering)
                self._changed.wait(PATIENCE_SECONDS)
            self._opened[request] = time.monotonic()
        super().process_request(request, client_address)

    def begin_answer(self, request: socket.socket) -> None:
        """Record that a connection has sent its request."""
        with self._changed:
            self._answering.add(request)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._opened.pop(request, None)
            self._answering.discard(request)
            self._changed.notify()

    def service_actions(self) -> None:
        with self._changed:
            self._cut(REQUEST_SECONDS, self._opened.keys())

    def handle_error(self, *_: Any) -> None:
        error = sys.exception()
        if not isinstance(error, OSError):  # a client that goes away, or is cut off, is no error of ours
            log.warning("http_request_failed", error=repr(error))

    def _cut(self, seconds: float, connections: Collection[socket.socket]) -> None:
        """End those connections that are older than some seconds. Their threads notice and release them."""
        latest = time.monotonic() - seconds
        for connection in connections:
            if self._opened[connection] < latest:
                with suppress(OSError):  # the client has gone
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server_version = "stockstream"
    sys_version = ""
    timeout = REQUEST_SECONDS
    error_content_type = _TEXT
    error_message_format = "%(code)d %(message)s\n"

    def answer(self, path: str) -> tuple[int, str, bytes]:
        raise NotImplementedError

    def parse_request(self) -> bool:
        is_valid = super().parse_request()
        cast("_BoundedServer", self.server).begin_answer(self.connection)
        return is_valid

    def do_GET(self) -> None:
        try:
            status, content_type, body = self.answer(self.path.partition("?")[0])
        except Exception as error:  # whatever fails, the client gets an answer
            log.exception("http_request_failed", error=repr(error))
            status, content_type, body = 500, _TEXT, b"this page failed; the log says why\n"
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  (http.server looks for this name)

    def log_message(self, *_: object) -> None:
        """Log nothing, since probes come every few seconds."""


def _answer(
    path: str, accept: str, registry: CollectorRegistry, health: Health, status: Callable[[], bytes]
) -> tuple[int, str, bytes]:
    match path:
        case "/metrics":
            encode, content_type = _encoder(accept)
            return 200, content_type, encode(registry)
        case "/healthz" | "/readyz":
            verdict = health.liveness() if path == "/healthz" else health.readiness()
            return 200 if verdict.ok else 503, _TEXT, masked(verdict.reason).encode() + b"\n"
        case "/status":
            return 200, "application/json", masked(status().decode()).encode()
    return 404, _TEXT, b"not found; the paths are /metrics, /healthz, /readyz and /status\n"


def _encoder(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    """The format of the metrics for an Accept header, and the default one if the header is broken."""
    try:
        return choose_encoder(accept if accept.isprintable() else "")
    except (TypeError, ValueError):  # of a version that is no number
        return choose_encoder("")
