"""Demos of tests: what they leave is in a directory of the test, and not in that of the developer's demos."""

from __future__ import annotations

import os
from pathlib import Path

from workspace.places import STATE


def environment(directory: Path, **variables: str) -> dict[str, str]:
    """The environment of a demo whose records, archive and temporary files are in a directory.

    The wheels of the function are those of all builds, since an installation takes seconds and a package index.
    """
    state = directory / "state"
    state.mkdir(exist_ok=True)
    if not (state / "wheels").is_symlink():
        (STATE / "wheels").mkdir(parents=True, exist_ok=True)
        (state / "wheels").symlink_to(STATE / "wheels")
    ours = {"STOCKSTREAM_STATE": str(state), "TMPDIR": str(directory), "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **ours, **variables}
