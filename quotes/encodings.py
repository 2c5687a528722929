"""Decodes the text of files that users write. Pure.

Editors on Windows begin UTF-8 with a byte-order mark, which is no part of the text, and may write UTF-16 instead.
"""

from __future__ import annotations

import codecs

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # that of UTF-32 begins with the same bytes


class NotUtf8(ValueError):
    """The bytes are not text in UTF-8. The message says what they are instead, for a person."""


def decode_text(content: bytes) -> str:
    """The text of a file in UTF-8, without its byte-order mark. Raises `NotUtf8`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotUtf8(decoding_problem(error)) from error
    if "\0" in text:
        raise NotUtf8("has NUL characters, as UTF-16 has without its mark; save it as UTF-8")
    return text


def decoding_problem(error: UnicodeDecodeError) -> str:
    """What is wrong with a file that is not UTF-8, and what to do."""
    if error.start == 0 and error.object.startswith(_UTF_16):
        return "is not UTF-8 but UTF-16; save it as UTF-8"
    return f"is not UTF-8: {error.reason} at byte {error.start}; save it as UTF-8"
