"""HTTP messages, and how Yahoo formats its errors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

MAX_BODY = 1 << 20
JSON = "application/json;charset=utf-8"
HTML = "text/html; charset=utf-8"
TEXT = "text/plain;charset=utf-8"


class Request(msgspec.Struct, frozen=True):
    """A request. Names of headers are lower case."""

    method: str
    target: str
    """The target of the request line: a path with a query, or `host:port` of a CONNECT."""
    headers: Mapping[str, str]
    head: bytes
    """The request line and the headers, as they came."""
    body: bytes

    @property
    def host(self) -> str:
        """The host without its port."""
        return self.headers.get("host", "").partition(":")[0].lower()

    @property
    def path(self) -> str:
        """The path, decoded."""
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> str:
        """The query, as it came."""
        return urlsplit(self.target).query

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of the query. Of a repeated one the last counts, as at Yahoo."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by name."""
        pairs = (pair.strip().partition("=") for pair in self.headers.get("cookie", "").split(";"))
        return {name: value for name, _, value in pairs if name}

    @property
    def is_websocket(self) -> bool:
        """Whether it opens a WebSocket."""
        return self.headers.get("upgrade", "").lower() == "websocket"


class Response(msgspec.Struct, frozen=True):
    """A response."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()

    def encode(self) -> bytes:
        """The bytes to send."""
        try:
            reason = HTTPStatus(self.status).phrase
        except ValueError:  # Yahoo's 999
            reason = "Unknown"
        headers = [("content-type", self.content_type), ("content-length", str(len(self.body))), *self.headers]
        lines = [f"HTTP/1.1 {self.status} {reason}", *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


class BadRequest(Exception):
    """The bytes are not an HTTP request."""


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection. None at its end. Raises `BadRequest`."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as error:
        raise BadRequest(str(error)) from error
    try:
        line, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        method, target, _ = line.split(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        length = int(headers.get("content-length", "0"))
    except ValueError as error:
        raise BadRequest(str(error)) from error
    if not 0 <= length <= MAX_BODY:
        raise BadRequest(f"a body of {length} bytes")
    return Request(method, target, headers, head, await reader.readexactly(length))


def json(value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A response of status 200 with a JSON body."""
    return Response(200, msgspec.json.encode(value), headers=tuple((headers or {}).items()))


def error(status: int, envelope: str, code: str, description: str) -> Response:
    """An error as Yahoo formats it: `{envelope: {"result": null, "error": {…}}}`."""
    body = {envelope: {"result": None, "error": {"code": code, "description": description}}}
    return Response(status, msgspec.json.encode(body))


def redirect(location: str, *headers: tuple[str, str]) -> Response:
    """A redirection."""
    return Response(302, content_type=HTML, headers=(("location", location), *headers))
