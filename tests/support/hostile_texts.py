"""Texts that an outsider could use to draw on a terminal, and a judge of what a program printed."""

from __future__ import annotations

import sys
import unicodedata

FORBIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""The categories of characters that no output for people may hold, except for the newline."""

HOSTILE = (
    "\x1b[2J\x1b[1;1H\x1b[31mred",
    "\x1b]8;;http://example.com\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;cm0gLXJmIH4=\x07",
    "\x9b31m\x90q\x9d0;title\x9c",
    "\u202egnp.exe\u202c \u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    "zero\u200b\u200c\u200d\u2060\ufeffwidth\u00ad",
    "cell\nerror: done\r\n\tnext\x0b\x0c\x85\u2028\u2029line",
    "e" + "\u0301" * 30,
    "\U000e0041\U000e007f tag",
    "[red]markup[/red] [link=http://example.com]x[/link] :smile:",
    "=cmd|' /C calc'!A0",
    "\x00\x08\x7f",
)


_CONTROLS = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in FORBIDDEN - {"Cs"}]
EVERY_CONTROL = tuple("".join(_CONTROLS[start : start + 400]) for start in range(0, len(_CONTROLS), 400))
"""Every control, format and separator character of Unicode that UTF-8 can encode."""


def harmless(output: str) -> bool:
    """Whether a person may see an output: it has no control or format characters and no floods of marks."""
    marks = 0
    for character in output:
        if unicodedata.category(character) in FORBIDDEN and character != "\n":
            return False
        marks = marks + 1 if unicodedata.category(character) in {"Mn", "Me"} else 0
        if marks > 4:
            return False
    return True
