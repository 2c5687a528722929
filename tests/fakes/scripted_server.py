"""A server that gives scripted responses, byte for byte. It serves one connection after the other."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import msgspec

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time, so closing the socket sends RST


class Request(msgspec.Struct, frozen=True):
    """A request as it was received."""

    connection: int
    """The number of its connection, from 1."""
    line: str
    headers: dict[str, str]
    body: bytes


class Step(msgspec.Struct, frozen=True):
    """The response to one request, and what happens to the connection after it."""

    response: bytes = b""
    then: str = "keep"
    """`keep`, `close` or `reset`."""


def response(status: int, body: bytes = b"", *headers: str) -> bytes:
    """A response with a length."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


class ScriptedServer:
    """Responds to requests with the steps of its script, in order. A request after the last step gets no response."""

    def __init__(self) -> None:
        self.script: list[Step] = []
        self.requests: list[Request] = []
        self.before_response: Callable[[], None] = lambda: None
        """Called before each response."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connection = self._listener
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def play(self, *steps: Step | bytes) -> None:
        """Add steps to the script. Bytes are a response that keeps the connection open."""
        self.script += [Step(step) if isinstance(step, bytes) else step for step in steps]

    @contextmanager
    def running(self) -> Iterator[ScriptedServer]:
        """Serve requests in a thread until the block ends."""
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            for opened in (self._listener, self._connection):
                with suppress(OSError):  # it may be closed already
                    opened.shutdown(socket.SHUT_RDWR)
            thread.join()
            self._listener.close()

    def _serve(self) -> None:
        number = 0
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            number += 1
            self._connection = connection
            with connection, suppress(ConnectionError):
                self._respond(connection, number)

    def _respond(self, connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as requests:
            while line := requests.readline().decode().strip():
                headers: dict[str, str] = {}
                while header := requests.readline().decode().strip():
                    name, _, value = header.partition(": ")
                    headers[name] = value
                body = requests.read(int(headers["content-length"]))
                self.requests.append(Request(number, line, headers, body))
                if not self.script:
                    return
                step = self.script.pop(0)
                self.before_response()
                connection.sendall(step.response)
                if step.then == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                if step.then != "keep":
                    return
