"""Zips with a small handler in the place of the processor's."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

IDLE = "def handler(event, context): return 'idle'\n"


def handler_zip(folder: Path, code: str = IDLE) -> Path:
    """A zip whose `processor_lambda.app` is this code."""
    path = folder / "function.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("processor_lambda/__init__.py", "")
        archive.writestr("processor_lambda/app.py", code)
    return path


def changed_zip(package: Path, module: str, change: Callable[[str], str], folder: Path) -> Path:
    """The zip of a function with a change of one module, such as `processor_lambda/app.py`."""
    folder.mkdir(exist_ok=True)
    path = folder / f"changed-{package.name}"
    byte_code = module.rpartition("/")[0] + "/__pycache__/" + Path(module).stem + "."
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.infolist():
            if entry.filename.startswith(byte_code):
                continue
            content = old.read(entry)
            new.writestr(entry, change(content.decode()) if entry.filename == module else content)
    return path
