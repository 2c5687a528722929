"""Where the programs find their own files, and where they keep what they make."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The folder that holds the packages, and with them `infra/` and `requirements/`: the root of the repository."""


def state_directory(root: Path, variables: Mapping[str, str]) -> Path:
    """Where programs keep what they make: what STOCKSTREAM_STATE names, or in a checkout the folder `build`.

    A program that is installed as a package keeps nothing beside its own files, but in `stockstream` in the user's
    directory for state.
    """
    if chosen := variables.get("STOCKSTREAM_STATE"):
        return Path(chosen).absolute()
    if (root / "pyproject.toml").is_file():
        return root / "build"
    home = Path(variables.get("XDG_STATE_HOME", ""))  # the XDG specification tells programs to ignore a relative path
    return (home if home.is_absolute() else Path("~/.local/state").expanduser()) / "stockstream"


STATE = state_directory(ROOT, os.environ)
"""Where the programs keep what they make: archives, zips, and the records of the demos."""
