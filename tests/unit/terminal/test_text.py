"""What a terminal could take for a command becomes a visible escape."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal import ascii_json, printable, printable_lines
from tests.support.hostile_texts import HOSTILE, harmless
from tests.support.sizes import sized

CODES = (
    *range(sized(0x3100, sys.maxunicode + 1)),
    *range(0xD7F0, 0xE010),
    *range(0xFE00, 0x12000),
    *range(0xE0000, 0xE0200),
)
"""By default, the blocks that have control and format characters, and some others."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb\n", r"a\x1b[2Jb\n"),
        ("\x1b]52;c;cm0gLXJmIH4=\x07", r"\x1b]52;c;cm0gLXJmIH4=\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202e\u2066\u200f\u061c", r"\u202e\u2066\u200f\u061c"),
        ("a\u200b\ufeffb", r"a\u200b\ufeffb"),
        ("a\tb\r\nc\x0b\x0c\x85\u2028\u2029", r"a\tb\r\nc\x0b\x0c\x85\u2028\u2029"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("\u3164\u034f\ufe0f", r"\u3164\u034f\ufe0f"),
        ("e" + "\u0301" * 6, "e" + "\u0301" * 4 + r"\u0301\u0301"),
        ("\u0301", r"\u0301"),
        ("\x1b\u0301", r"\x1b\u0301"),
        ("[red]:smile: 1 € 株 C:\\new", "[red]:smile: 1 € 株 C:\\new"),
    ],
    ids=ascii,
)
def test_what_is_not_visible_is_escaped_and_the_rest_stays(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_every_control_and_format_character_is_escaped() -> None:
    kinds = {"Cc", "Cf", "Cs", "Zl", "Zp", "Cn", "Co"}
    dangerous = [chr(code) for code in CODES if unicodedata.category(chr(code)) in kinds]
    assert len(dangerous) > 2_000
    for start in range(0, len(dangerous), 5_000):
        part = dangerous[start : start + 5_000]
        assert printable("".join(part), 5_000) == "".join(c.encode("unicode_escape").decode() for c in part)


@given(st.text(st.characters(), max_size=200))
def test_any_text_becomes_one_harmless_line_that_can_be_encoded(text: str) -> None:
    shown = printable(text)
    assert harmless(shown)
    assert "\n" not in shown
    assert shown.encode().decode() == shown
    assert len(shown) >= len(text)


def test_a_long_text_is_cut_and_says_how_much_is_missing() -> None:
    assert printable("\x1b" * 30, 2) == r"\x1b\x1b… (28 more characters)"
    assert printable("abc", 3) == "abc"
    assert printable_lines("ab\ncd\ne", 5) == "ab\n  cd\n  … (2 more characters)"


def test_no_line_of_a_text_can_pass_for_a_message_of_its_own() -> None:
    assert printable_lines("no\ndone: \x1b[0m\r\nall good\n") == "no\n  done: \\x1b[0m\\r\n  all good"


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_json_in_ascii_holds_the_same_values(text: str) -> None:
    encoded = ascii_json(json.dumps({text: [text, 1.5]}, ensure_ascii=False, indent=1))
    assert json.loads(encoded) == {text: [text, 1.5]}
    assert encoded.isascii()
    assert harmless(encoded)
