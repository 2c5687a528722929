"""An HTTP/1.1 connection that is kept: one request at a time, written in one piece, its answer read whole.

The standard library's `http.client` imports all of `email` to read a header, a sixth of a cold start, and takes twice
the CPU. AWS's answers have a length or come in chunks (RFC 9112, sections 6 and 7); nothing else is read here.
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


class BadAnswer(OSError):
    """What came is no whole HTTP answer: the other end died, or does not speak HTTP."""


class Answer(msgspec.Struct, frozen=True):
    """What a request was answered with."""

    status: int
    body: bytes


class Connection:
    """A way to one host, opened when it is needed. Raises OSError for whatever goes wrong, and is new after that."""

    def __init__(self, scheme: str, host: str, port: int | None, ca_bundle: str | None = None) -> None:
        self._is_secure = scheme == "https"
        self._host, self._port, self._ca_bundle = host, port or _PORTS[scheme], ca_bundle
        self._socket: socket.socket | None = None
        self._answers: BinaryIO | None = None

    def exchange(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Send a request, `headers` with its `host`, and read the answer, once and no more."""
        lines = [f"{method} {path} HTTP/1.1", *[f"{name}: {value}" for name, value in headers.items()]]
        request = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body
        if self._socket is None or self._answers is None or _is_readable(self._socket):
            # Nothing is to be read of an idle connection but its end, while the function was frozen between batches.
            self.close()
            self._socket = self._opened()
            self._answers = self._socket.makefile("rb")
        try:
            self._socket.sendall(request)
            answer, is_last = _read(self._answers)
        except BaseException:
            self.close()
            raise
        if is_last:
            self.close()
        return answer

    def close(self) -> None:
        """Give the socket back."""
        for held in (self._answers, self._socket):
            if held is not None:
                held.close()
        self._socket = self._answers = None

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
        return ssl.create_default_context(cafile=ca_bundle)  # reading the certificates takes 20 ms: once for all hosts
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no file {ca_bundle!r}, which AWS_CA_BUNDLE names") from error


def _is_readable(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _read(answers: BinaryIO) -> tuple[Answer, bool]:
    """The next answer, and whether it was the last of its connection."""
    status, headers = 0, dict[bytes, bytes]()
    while status < 200:  # noqa: PLR2004  (1xx come before the answer)
        status, headers = _head(answers)
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        body = b"".join(_chunks(answers))
    elif (length := headers.get(b"content-length")) is not None:
        body = _exactly(answers, _number(length, 10))
    elif status == 204:  # noqa: PLR2004  (No Content)
        body = b""
    else:
        raise BadAnswer("an answer without a length")
    return Answer(status, body), headers.get(b"connection", b"").lower() == b"close"


def _head(answers: BinaryIO) -> tuple[int, dict[bytes, bytes]]:
    version, _, rest = _line(answers).partition(b" ")
    if not version.startswith(b"HTTP/1."):
        raise BadAnswer(f"no HTTP: {version[:40]!r}")
    status = _number(rest[:3], 10)
    headers: dict[bytes, bytes] = {}
    for _ in range(_HEADER_LINES):
        line = _line(answers)
        if not line:
            return status, headers
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    raise BadAnswer(f"an answer of over {_HEADER_LINES} headers")


def _chunks(answers: BinaryIO) -> list[bytes]:
    chunks: list[bytes] = []
    while size := _number(_line(answers).partition(b";")[0].strip(), 16):
        chunks.append(_exactly(answers, size))
        if _line(answers):
            raise BadAnswer("a chunk that is longer than it says")
    while _line(answers):
        pass  # trailers
    return chunks


def _line(answers: BinaryIO) -> bytes:
    line = answers.readline(_LINE_BYTES)
    if not line.endswith(b"\n"):
        raise BadAnswer("the connection was closed before an answer" if not line else "a header was cut off")
    return line.rstrip(b"\r\n")


def _exactly(answers: BinaryIO, size: int) -> bytes:
    content = answers.read(size)
    if len(content) != size:
        raise BadAnswer(f"{len(content)} bytes of an answer of {size}")
    return content


def _number(digits: bytes, base: int) -> int:
    try:
        number = int(digits, base)
    except ValueError:
        number = -1
    if number < 0:
        raise BadAnswer(f"{digits[:20]!r} is not a number of bytes, nor a status")
    return number
