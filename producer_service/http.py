"""The HTTP endpoints /metrics, /healthz, /readyz and /status. Any other path is 404."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from producer_service.health import Health

_TEXT = "text/plain; charset=utf-8"


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

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)

    @property
    def port(self) -> int:
        """The port that is bound."""
        return self._server.server_port

    def start(self) -> None:
        """Start answering."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering, and release the port."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_version = "stockstream"
    sys_version = ""
    timeout = 10

    def answer(self, path: str) -> tuple[int, str, bytes]:
        raise NotImplementedError

    def do_GET(self) -> None:
        status, content_type, body = self.answer(self.path.partition("?")[0])
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
            encode, content_type = choose_encoder(accept)
            return 200, content_type, encode(registry)
        case "/healthz" | "/readyz":
            verdict = health.liveness() if path == "/healthz" else health.readiness()
            return 200 if verdict.ok else 503, _TEXT, verdict.reason.encode() + b"\n"
        case "/status":
            return 200, "application/json", status()
    return 404, _TEXT, b"not found; the paths are /metrics, /healthz, /readyz and /status\n"
