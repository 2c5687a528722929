"""What a user probably meant by an unknown name. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str, prefix: str = "") -> str:
    """A question that names the known name most like an unknown one, or `otherwise` if none is like it.

    `prefix` is a prefix of all the names, which does not make two of them alike.
    """
    close = difflib.get_close_matches(name.removeprefix(prefix), [each.removeprefix(prefix) for each in known], n=1)
    return f"did you mean {prefix}{close[0]}?" if close else otherwise
