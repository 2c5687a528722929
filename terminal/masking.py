"""Masks the user and the password of URLs in texts on their way to people. Pure.

An endpoint, a proxy or any other URL of the environment may hold them, and libraries quote URLs in their errors.
"""

from __future__ import annotations

import re
from typing import Any

MASK = "***"

_USER = re.compile(
    r"""(?<=://)\S*(?=@)                              # before the last @, since a password may hold any character
    |(?<![^\s"'=(])[^\s:/@"'=(]+:(?!//)[^\s@]+(?=@[\w\[]) # a proxy may have no scheme
    |(?<=cast\ to\ integer\ value\ as\ ').*(?=')      # urllib, of a password with a slash""",
    re.VERBOSE,
)
_CUT = re.compile(r"(?<=://)[^\s:/@]+:(?!\d+\b)[^\s/@]+$")
"""A text that was cut within the password. Digits alone are a port."""


def masked(text: str) -> str:
    """The text with `***` for the user and the password of each URL in it."""
    if "@" in text or "cast to integer" in text:
        text = _USER.sub(MASK, text)
    return _CUT.sub(MASK, text) if "://" in text else text


def masked_values(value: Any) -> Any:
    """A value of a log line with every text in it masked."""
    match value:
        case str():
            return masked(value)
        case dict():
            return {key: masked_values(each) for key, each in value.items()}
        case list() | tuple():
            return [masked_values(each) for each in value]
    return value
