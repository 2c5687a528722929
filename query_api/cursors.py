"""Cursors: where the next page of a query begins. Pure.

A cursor names the last key of a page and the query that it belongs to. Pages go on after that key, so an item that
arrives meanwhile moves no other item to another page. Its checksum finds damage. It is no secret, and protects nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from contextlib import suppress

import msgspec

from query_api.errors import Problem, wrong_parameter

MAX_CHARACTERS = 1_024
_CHECKSUM_BYTES = 9


def encode(query: str, *position: str) -> str:
    """The cursor of a position in a query."""
    return _packed(query, msgspec.json.encode(position))


def decode(query: str, cursor: str) -> tuple[str, ...]:
    """The position that a cursor of this query names. Raises `Problem` for any other text."""
    if len(cursor) <= MAX_CHARACTERS and cursor.isascii():
        try:
            packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except binascii.Error:
            packed = b""
        content = packed[_CHECKSUM_BYTES:]
        if _packed(query, content) == cursor:
            with suppress(msgspec.DecodeError):
                return msgspec.json.decode(content, type=tuple[str, ...])
    raise wrong_cursor()


def wrong_cursor() -> Problem:
    """A cursor is damaged, or it belongs to another query."""
    return wrong_parameter(
        "cursor",
        "it is damaged, or it belongs to another query. Give it as `next` was, with the parameters of that request. "
        "Only `limit` and `format` may differ. Leave it out to begin with the first page.",
    )


def _packed(query: str, content: bytes) -> str:
    checksum = hashlib.sha256(query.encode() + b"\0" + content).digest()[:_CHECKSUM_BYTES]
    return base64.urlsafe_b64encode(checksum + content).decode().rstrip("=")
