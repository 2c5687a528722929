"""A server of one connection after the other that answers what a test tells it to, byte for byte."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import msgspec

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: closing sends RST


class Request(msgspec.Struct, frozen=True):
    """A request as it came."""

    connection: int
    """Which one it came over, from 1."""
    line: str
    headers: dict[str, str]
    body: bytes


class Step(msgspec.Struct, frozen=True):
    """What is sent in answer to a request, and what becomes of the connection."""

    answer: bytes = b""
    then: str = "keep"
    """`keep`, `close` it, or `reset` it."""


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    """An answer with a length."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


class ScriptedServer:
    """Answers the requests by the steps of its script in their order; a request beyond them is not answered."""

    def __init__(self) -> None:
        self.script: list[Step] = []
        self.requests: list[Request] = []
        self.during: Callable[[], None] = lambda: None
        """Called before each answer."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connection = self._listener
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def play(self, *steps: Step | bytes) -> None:
        """Add to the script; bytes are an answer that keeps the connection."""
        self.script += [Step(step) if isinstance(step, bytes) else step for step in steps]

    @contextmanager
    def running(self) -> Iterator[ScriptedServer]:
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            for held in (self._listener, self._connection):
                with suppress(OSError):  # it may be closed already
                    held.shutdown(socket.SHUT_RDWR)
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
                self._converse(connection, number)

    def _converse(self, connection: socket.socket, number: int) -> None:
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
                self.during()
                connection.sendall(step.answer)
                if step.then == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                if step.then != "keep":
                    return
