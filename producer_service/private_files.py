"""Files and directories that only the producer's own user may read."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700


def make_directory(path: Path) -> None:
    """Make a directory and its parents where they are missing. Those that exist keep their modes."""
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(DIRECTORY_MODE, exist_ok=True)


def make_file(path: Path) -> None:
    """Make a file if it is missing, and take other users' permissions from it if it is there."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        with suppress(PermissionError):  # it belongs to another user, who decides
            os.fchmod(descriptor, FILE_MODE)
    finally:
        os.close(descriptor)
