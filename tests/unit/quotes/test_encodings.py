"""Text files as editors write them."""

from __future__ import annotations

import codecs

import pytest

from quotes.encodings import NotUtf8, decode_text

TEXT = 'name = "Zürich"\r\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_utf_8_is_read_without_its_mark(encoding: str) -> None:
    assert decode_text(TEXT.encode(encoding)) == TEXT


def test_only_the_first_mark_is_no_text() -> None:
    assert decode_text(codecs.BOM_UTF8 * 2 + b"a") == "\ufeffa"
    assert decode_text(codecs.BOM_UTF8) == decode_text(b"") == ""


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (TEXT.encode("utf-16"), "is not UTF-8 but UTF-16; save it as UTF-8"),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "is not UTF-8 but UTF-16; save it as UTF-8"),
        (TEXT.encode("utf-32"), "is not UTF-8 but UTF-16; save it as UTF-8"),
        ("name = 1".encode("utf-16-le"), "has NUL characters, as UTF-16 has without its mark; save it as UTF-8"),
        ("name = 1".encode("utf-16-be"), "has NUL characters, as UTF-16 has without its mark; save it as UTF-8"),
        (TEXT.encode("latin-1"), "is not UTF-8: invalid start byte at byte 9; save it as UTF-8"),
        (TEXT.encode()[:10], "is not UTF-8: unexpected end of data at byte 9; save it as UTF-8"),
    ],
)
def test_anything_else_is_refused_with_what_to_do(content: bytes, problem: str) -> None:
    with pytest.raises(NotUtf8) as caught:
        decode_text(content)
    assert str(caught.value) == problem
