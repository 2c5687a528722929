"""The lines of an archived object, in bounded pieces. Pure."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from io import BytesIO

from compaction.errors import Damaged
from quotes.bounds import MAX_LINE

MAX_CONTENT = 2**30
"""The most bytes of a decompressed object. An event full of refused lines becomes a hundred times as long."""
_CHUNK = 2**22


def lines_of(body: bytes, address: str) -> Iterator[list[bytes]]:
    """The lines of an object without their newlines, some megabytes at once. Raises `Damaged`."""
    size, rest = 0, b""
    try:
        with gzip.open(BytesIO(body)) as content:
            while chunk := content.read(_CHUNK):
                size += len(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                if size > MAX_CONTENT or len(rest) > MAX_LINE:
                    raise Damaged(f"{address} holds more than one batch can: move it elsewhere, and run this again")
                yield lines
    except (OSError, EOFError, zlib.error) as error:
        raise Damaged(f"{address} is damaged: {error}. Restore an earlier version, or move it elsewhere") from error
    if rest:
        yield [rest]
