"""Bounds for files from outside, which may be larger than memory, or made to keep a parser busy for hours. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

MAX_LINE = 16 * 2**20
"""The longest line of a file. The longest of ours hold the bytes of a whole Kinesis record."""
_CHUNK = 2**18
_LEAST_LINE = 100
"""What a line counts at least in the size of a file, because short lines take time too."""
MAX_TOML = 2**19
"""The longest TOML document, in characters. The most symbols that one stream can hold take less."""
MAX_TOML_LEVELS = 10
"""The deepest nesting of a TOML document, in brackets and in the parts of a dotted key."""

_TOML_TOKEN = re.compile(
    r"""\#[^\n]*                                                   # a comment
    |(?:"{3}(?:\\.|[^\\])*?"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[\w-]+)  # a part of a key, or another value
    |[ \t]+
    |(?P<symbol>.)""",
    re.DOTALL | re.VERBOSE,
)


class OutOfBounds(ValueError):
    """A file exceeds a bound. The message says which, for a person."""


def bounded_lines(read: Callable[[int], bytes], *, max_size: float) -> Iterator[bytes]:
    """The lines of a file, without their newlines. Raises `OutOfBounds` if a line or the file is too long.

    `read` is that of the file; its argument is the most that it reads. Sizes are those of the content, so they hold for
    a compressed file that is being decompressed, and no more than a line and a chunk are in memory.
    """
    number, size, rest = 1, 0, b""
    while chunk := read(_CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        size += max(len(chunk), _LEAST_LINE * len(lines))
        if size > max_size:
            raise OutOfBounds(f"it holds more than {_megabytes(max_size)}")
        yield from lines
        number += len(lines)
        if len(rest) > MAX_LINE:
            raise OutOfBounds(f"line {number} is longer than {_megabytes(MAX_LINE)}")
    if rest:
        yield rest


def read_toml(read: Callable[[int], str]) -> dict[str, Any]:
    """The document in a TOML file. `read` is that of the file; its argument is the most that it reads.

    Raises what `read` raises, TOMLDecodeError, or `OutOfBounds`. The size and the nesting are checked first, because
    `tomllib` is recursive and takes minutes for a key of 100,000 parts.
    """
    text = read(MAX_TOML + 1)
    if len(text) > MAX_TOML:
        raise OutOfBounds(f"it is longer than {MAX_TOML:,} characters")
    brackets = dots = 0
    for token in _TOML_TOKEN.finditer(text):
        symbol = token["symbol"]
        if symbol == ".":
            dots += 1
        elif symbol is not None:
            dots = 0
            brackets += (symbol in "[{") - (symbol in "]}")
        if brackets > MAX_TOML_LEVELS or dots >= MAX_TOML_LEVELS:
            line = text.count("\n", 0, token.start()) + 1
            raise OutOfBounds(f"line {line} is nested deeper than {MAX_TOML_LEVELS} levels")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:  # of `int`
        raise OutOfBounds(f"a number has too many digits: {error}") from error


def _megabytes(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB"
