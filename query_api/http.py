"""HTTP: a request in an event of Lambda, and the answer to it. Pure.

An event has payload version 2.0, which API Gateway's HTTP APIs and Lambda's function URLs send:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from query_api.errors import Problem

JSON = "application/json"
CSV = "text/csv; charset=utf-8; header=present"
PROBLEM = "application/problem+json"
REVALIDATED = "private, no-cache"
"""Every use asks whether the answer has changed, which costs no body if it has not."""
GZIP_BYTES = 1_024
"""A shorter body is sent as it is: gzip would save less than a packet."""
NOT_MODIFIED = 304
_GZIP_LEVEL = 4
_GZIP_FORMAT = 31
"""zlib's number for gzip with the largest window. Its header has no time, so equal bodies have equal bytes."""
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_NONE = re.compile(r"q=0(\.0*)?")
_EXPOSED = "ETag, Link, Retry-After"
_PREFLIGHT_SECONDS = 3_600


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request, decoded."""

    method: str
    path: str
    """The decoded path, without the stage."""
    query: tuple[tuple[str, str], ...]
    """The parameters in their order, decoded."""
    headers: dict[str, str]
    """The names are in lower case."""
    now: datetime
    symbol: str = ""
    """The symbol that the path names, if its endpoint has one."""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, before it is compressed or found to be known."""

    body: bytes = b""
    status: int = 200
    content_type: str = JSON
    cache: str = REVALIDATED
    headers: dict[str, str] = {}


def path_of(event: Mapping[str, Any]) -> str:
    """The path of an event, without the stage.

    HTTP APIs have decoded it, and function URLs have not. No path of ours has a % once it is decoded.
    """
    path: str = event.get("rawPath") or "/"
    stage = event["requestContext"].get("stage", "$default")
    if stage != "$default" and (path == f"/{stage}" or path.startswith(f"/{stage}/")):
        return path[len(stage) + 1 :] or "/"
    return path


def request_of(event: Mapping[str, Any], now: datetime) -> Request:
    """The request in an event. Raises `Problem` if it is not encoded well."""
    return Request(
        method=event["requestContext"]["http"]["method"],
        path=_decoded(path_of(event), "The path"),
        query=_query_of(event.get("rawQueryString") or ""),
        headers={name.lower(): value for name, value in event.get("headers", {}).items()},
        now=now,
    )


def answer(response: Response, headers: Mapping[str, str], method: str, origins: tuple[str, ...]) -> dict[str, Any]:
    """What the function returns: the response, or its headers alone where these are enough.

    `headers` are those of the request.
    """
    body, is_encoded = response.body, False
    sent = {
        "content-type": response.content_type,
        "cache-control": response.cache,
        "vary": "Accept-Encoding, Origin",
        "x-content-type-options": "nosniff",
        **cors(headers, origins),
        **response.headers,
    }
    status = response.status
    if status == 200:  # noqa: PLR2004  (OK)
        tag = hashlib.sha256(body).hexdigest()[:32]
        if is_compressed := len(body) > GZIP_BYTES and _accepts_gzip(headers.get("accept-encoding", "")):
            sent["content-encoding"] = "gzip"
        sent["etag"] = f'"{tag}-gzip"' if is_compressed else f'"{tag}"'
        if _is_known(tag, headers.get("if-none-match", "")):
            status, body = NOT_MODIFIED, b""
            sent.pop("content-type")
            sent.pop("content-encoding", None)
        elif is_compressed and method != "HEAD":
            body, is_encoded = base64.b64encode(_compressed(body)), True
    if method == "HEAD" or not body:
        body, is_encoded = b"", False
    return {"statusCode": status, "headers": sent, "body": body.decode(), "isBase64Encoded": is_encoded}


def problem(error: Problem, *, is_udf: bool = False) -> Response:
    """The answer that an error of the request gets (RFC 9457). Clients of UDF look for `s` and `errmsg`."""
    body = {
        "type": f"urn:stockstream:{error.kind}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
    }
    if is_udf:
        body |= {"s": "error", "errmsg": error.detail}
    if error.parameter:
        body["parameter"] = error.parameter
    return Response(
        status=error.status,
        body=msgspec.json.encode(body),
        content_type=PROBLEM,
        cache="no-store",
        headers=dict(error.headers),
    )


def cors(headers: Mapping[str, str], origins: tuple[str, ...]) -> dict[str, str]:
    """What lets a page of another origin read the answer: nothing, unless its origin is allowed."""
    origin = headers.get("origin", "")
    if not origin or (origin not in origins and "*" not in origins):
        return {}
    allowed = "*" if "*" in origins else origin
    return {"access-control-allow-origin": allowed, "access-control-expose-headers": _EXPOSED}


def preflight(headers: Mapping[str, str], origins: tuple[str, ...], methods: str) -> Response:
    """The answer to OPTIONS: the methods of a path, and what pages of other origins may send."""
    allowed = {"allow": methods}
    if cors(headers, origins):
        allowed |= {
            "access-control-allow-methods": methods,
            "access-control-allow-headers": "Authorization, If-None-Match",
            "access-control-max-age": str(_PREFLIGHT_SECONDS),
        }
    return Response(status=204, headers=allowed)


def encoded(text: str) -> str:
    """Percent-encoded text, for a value of a query."""
    return "".join([chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in text.encode()])


def _decoded(text: str, where: str) -> str:
    """Percent-decoded text. Raises `Problem` if it is not UTF-8, or has a character that no name or value has."""
    parts = text.split("%")
    content = parts[0].encode(errors="surrogatepass")
    for part in parts[1:]:
        code = part[:2]
        if len(code) < 2 or not all(digit in "0123456789abcdefABCDEF" for digit in code):  # noqa: PLR2004
            raise _badly_encoded(f"{where} has a % without two hexadecimal digits after it. Write %25 for a %.")
        content += bytes.fromhex(code) + part[2:].encode(errors="surrogatepass")
    try:
        decoded = content.decode()
    except UnicodeDecodeError:
        raise _badly_encoded(f"{where} is not UTF-8, percent-encoded.") from None
    if not decoded.isprintable():
        raise _badly_encoded(f"{where} has a character that cannot be printed, such as NUL.")
    return decoded


def _query_of(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (pair.replace("+", " ").partition("=") for pair in text.split("&") if pair)
    where = "The query"
    return tuple((_decoded(name, where), _decoded(value, where)) for name, _, value in pairs)


def _badly_encoded(detail: str) -> Problem:
    return Problem(400, "encoding-wrong", "The request is not encoded well", detail)


def _accepts_gzip(accepted: str) -> bool:
    for coding in accepted.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() in ("gzip", "*"):
            return _NONE.fullmatch(weight.replace(" ", "")) is None
    return False


def _is_known(tag: str, known: str) -> bool:
    """Whether If-None-Match names the tag, of either encoding (RFC 9110, section 13.1.2)."""
    tags = {part.strip().removeprefix("W/") for part in known.split(",")}
    return not tags.isdisjoint({"*", f'"{tag}"', f'"{tag}-gzip"'})


def _compressed(body: bytes) -> bytes:
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)
    return compressor.compress(body) + compressor.flush()
