"""An HTTP server in this process, which stand-ins answer with."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class QuietHandler(BaseHTTPRequestHandler):
    """Handles requests without logging them."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    """A server that can end the connections that clients keep open, and with them the threads that serve these."""

    daemon_threads = True

    def __init__(self, handler: type[QuietHandler], port: int) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):  # it has ended meanwhile
                connection.shutdown(socket.SHUT_RDWR)


class FakeServer:
    """A server on this machine, on a free port unless one is named, which answers with a handler while it runs."""

    def __init__(self, handler: type[QuietHandler], port: int = 0) -> None:
        self._server = _Server(handler, port)

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Answer for as long as the block lasts."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.end_connections()
            self._server.server_close()
            thread.join()
