"""The CPU that processes have used, read from /proc. Only Linux has it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
_SESSION, _USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM = 3, 11, 12, 13, 14
"""The places of these numbers behind the name of the program, as proc_pid_stat(5) lists them."""


class Usage(NamedTuple):
    """CPU seconds."""

    leader: float
    """Those of the process itself."""
    others: float
    """Those of all other processes of its session, and of those that have ended."""


def of_session(leader: int) -> Usage | None:
    """The CPU of a process that leads a session, and of the rest of the session. None where there is no /proc."""
    if not PROC.exists():
        return None
    own = others = 0.0
    for path in PROC.glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[_SESSION]) != leader:
            continue
        used, of_children = _seconds(fields, _USER, _SYSTEM), _seconds(fields, _CHILDREN_USER, _CHILDREN_SYSTEM)
        if int(path.parent.name) == leader:
            own += used
        else:
            others += used
        others += of_children
    return Usage(own, others)


def _seconds(fields: list[str], *places: int) -> float:
    return sum(int(fields[place]) for place in places) / os.sysconf("SC_CLK_TCK")
