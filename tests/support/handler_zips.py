"""Zips with a small handler in the place of the processor's."""

from __future__ import annotations

import zipfile
from pathlib import Path

IDLE = "def handler(event, context): return 'idle'\n"


def handler_zip(folder: Path, code: str = IDLE) -> Path:
    """A zip whose `processor_lambda.app` is this code."""
    path = folder / "function.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("processor_lambda/__init__.py", "")
        archive.writestr("processor_lambda/app.py", code)
    return path
