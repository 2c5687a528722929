"""How large the longest tests are: small by default, and full where `STOCKSTREAM_FULL` is set, as in CI."""

from __future__ import annotations

import os

VARIABLE = "STOCKSTREAM_FULL"
FULL = os.environ.get(VARIABLE, "") not in ("", "0")


def sized(default: int, full: int) -> int:
    """The size of a long test in this run."""
    return full if FULL else default
