"""A persistent HTTP/1.1 connection. It sends one request at a time in one piece, and reads the whole response.

The standard library's `http.client` imports `email` to parse headers, which takes a sixth of a cold start, and it uses
twice the CPU. AWS's responses have a length or come in chunks (RFC 9112, sections 6 and 7). No others are read here.
"""

from __future__ import annotations

import select
import socket
import ssl
from functools import lru_cache
from typing import BinaryIO

import msgspec

CONNECT_SECONDS = 2
READ_SECONDS = 5

_PORTS = {"http": 80, "https": 443}
_LINE_BYTES = 64 * 1024
_HEADER_LINES = 200


class InvalidResponse(OSError):
    """The response is incomplete or is not HTTP."""


class Response(msgspec.Struct, frozen=True):
    """A complete HTTP response."""

    status: int
    body: bytes
    headers: dict[bytes, bytes] = {}
    """The names are in lower case."""


class Connection:
    """A connection to one host. It opens when it is needed, and again after an error. Every error is an OSError."""

    def __init__(self, scheme: str, host: str, port: int | None, ca_bundle: str | None = None) -> None:
        self._is_secure = scheme == "https"
        self._host, self._port, self._ca_bundle = host, port or _PORTS[scheme], ca_bundle
        self._socket: socket.socket | None = None
        self._responses: BinaryIO | None = None

    def exchange(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
        """Send a request once and read its response. `headers` contains `host`."""
        lines = [f"{method} {path} HTTP/1.1", *[f"{name}: {value}" for name, value in headers.items()]]
        request = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body
        if self._socket is None or self._responses is None or _is_readable(self._socket):
            # An idle connection is readable only if the other end has closed it. That happens while Lambda has frozen
            # the function between two invocations.
            self.close()
            self._socket = self._opened()
            self._responses = self._socket.makefile("rb")
        try:
            self._socket.sendall(request)
            response, is_last = _read(self._responses)
        except BaseException:
            self.close()
            raise
        if is_last:
            self.close()
        return response

    def close(self) -> None:
        """Close the socket, if it is open."""
        for opened in (self._responses, self._socket):
            if opened is not None:
                opened.close()
        self._socket = self._responses = None

    def _opened(self) -> socket.socket:
        opened = socket.create_connection((self._host, self._port), timeout=CONNECT_SECONDS)
        try:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._is_secure:
                opened = _tls(self._ca_bundle).wrap_socket(opened, server_hostname=self._host)
            opened.settimeout(READ_SECONDS)
        except BaseException:
            opened.close()
            raise
        return opened


@lru_cache
def _tls(ca_bundle: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_bundle)  # cached, as loading the certificates takes 20 ms
    except FileNotFoundError as error:
        raise FileNotFoundError(f"AWS_CA_BUNDLE names the file {ca_bundle!r}, which does not exist") from error


def _is_readable(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _read(stream: BinaryIO) -> tuple[Response, bool]:
    """The next response, and whether it is the last of its connection."""
    status, headers = 0, dict[bytes, bytes]()
    while status < 200:  # noqa: PLR2004  (1xx responses precede the final one)
        status, headers = _head(stream)
    if status in (204, 304):  # No Content and Not Modified have no body, whatever length they state
        body = b""
    elif headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        body = b"".join(_chunks(stream))
    elif (length := headers.get(b"content-length")) is not None:
        body = _exactly(stream, _number(length, 10))
    else:
        raise InvalidResponse("the response has no length")
    return Response(status, body, headers), headers.get(b"connection", b"").lower() == b"close"


def _head(stream: BinaryIO) -> tuple[int, dict[bytes, bytes]]:
    version, _, rest = _line(stream).partition(b" ")
    if not version.startswith(b"HTTP/1."):
        raise InvalidResponse(f"the response is not HTTP: {version[:40]!r}")
    status = _number(rest[:3], 10)
    headers: dict[bytes, bytes] = {}
    for _ in range(_HEADER_LINES):
        line = _line(stream)
        if not line:
            return status, headers
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    raise InvalidResponse(f"the response has more than {_HEADER_LINES} headers")


def _chunks(stream: BinaryIO) -> list[bytes]:
    chunks: list[bytes] = []
    while size := _number(_line(stream).partition(b";")[0].strip(), 16):
        chunks.append(_exactly(stream, size))
        if _line(stream):
            raise InvalidResponse("a chunk is longer than it says")
    while _line(stream):
        pass  # trailers
    return chunks


def _line(stream: BinaryIO) -> bytes:
    line = stream.readline(_LINE_BYTES)
    if not line.endswith(b"\n"):
        raise InvalidResponse("the connection was closed before a response" if not line else "a header was cut off")
    return line.rstrip(b"\r\n")


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) != size:
        raise InvalidResponse(f"the response ended after {len(content)} of {size} bytes")
    return content


def _number(digits: bytes, base: int) -> int:
    try:
        number = int(digits, base)
    except ValueError:
        number = -1
    if number < 0:
        raise InvalidResponse(f"{digits[:20]!r} is neither a number of bytes nor a status")
    return number
