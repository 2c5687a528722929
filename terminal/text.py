r"""Makes texts of unknown origin harmless to a terminal. Pure.

A quarantined line, an object's key or an error that quotes its input can hold characters that move the cursor, write to
the clipboard, reorder a line or pile up over other lines. Here each of them becomes an escape that people can see, such
as `\x1b`. Nothing is left out without a word.
"""

from __future__ import annotations

import json
import re
import unicodedata

MAX_CHARACTERS = 10_000
"""How much of one line is shown. The number of the other characters follows."""
MAX_TEXT = 100_000
"""How much of a text of several lines is shown."""
_MAX_MARKS = 4
"""How many combining marks may stand on one character. Living languages need no more. A flood covers other lines."""
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Letters and marks that show nothing: `Default_Ignorable_Code_Point` in Unicode's DerivedCoreProperties.txt. Python
calls them printable. Its `str.isprintable` is right about the other characters of that list."""
_NOT_ASCII = re.compile(r"[^\n -~]")


def printable(text: str, limit: int = MAX_CHARACTERS) -> str:
    r"""A text as one line, with escapes such as `\n` or `\u202e` for what is not visible. It is cut at `limit`."""
    shown = text[:limit]
    if not (shown.isascii() and shown.isprintable()):
        shown = _escaped(shown)
    return shown if len(text) <= limit else f"{shown}… ({len(text) - limit:,} more characters)"


def printable_lines(text: str, limit: int = MAX_TEXT) -> str:
    """A text of several lines, cut at `limit`. All but the first are indented, so that none can pass for a message."""
    lines = [printable(line) for line in text[:limit].rstrip("\n").split("\n")]
    if len(text) > limit:
        lines.append(f"… ({len(text) - limit:,} more characters)")
    return "\n  ".join(lines)


def ascii_json(encoded: str) -> str:
    r"""The same JSON in ASCII: a program reads the same values, and a terminal gets escapes such as `\u009b`."""
    return _NOT_ASCII.sub(lambda match: json.dumps(match[0])[1:-1], encoded)


def _escaped(text: str) -> str:
    parts: list[str] = []
    free_marks = 0  # how many more marks may stand on the last character; none on an escape or at the start
    for character in text:
        is_mark = unicodedata.category(character) in ("Mn", "Me")
        if not character.isprintable() or _INVISIBLE.match(character) or (is_mark and not free_marks):
            parts.append(character.encode("unicode_escape").decode())
            free_marks = 0
        else:
            parts.append(character)
            free_marks = free_marks - 1 if is_mark else _MAX_MARKS
    return "".join(parts)
