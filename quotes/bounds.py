"""Bounds for files from outside, which may be larger than memory, or made to keep a parser busy for hours. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Any, AnyStr

MAX_LINE = 16 * 2**20
"""The longest line of a file. The longest of ours hold the bytes of a whole Kinesis record."""
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


def bounded_lines(readline: Callable[[int], AnyStr], *, max_size: float, max_line: int = MAX_LINE) -> Iterator[AnyStr]:
    """The lines of a file with their line ends. Raises `OutOfBounds` before a line or the file takes more memory.

    `readline` is that of the file; its argument is the most that it reads. Sizes are those of the content, so they hold
    for a compressed file that is being decompressed.
    """
    number = size = 0
    while line := readline(max_line + 1):
        number += 1
        size += max(len(line), _LEAST_LINE)
        if len(line) > max_line:
            raise OutOfBounds(f"line {number} is longer than {_megabytes(max_line)}")
        if size > max_size:
            raise OutOfBounds(f"it holds more than {_megabytes(max_size)}")
        yield line


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
