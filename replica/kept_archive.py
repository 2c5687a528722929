"""The directory that keeps the archive of a demo: whether it can be written, and what of it a demo may replace.

A demo replaces what an earlier one left there, and nothing else. So it lists what it leaves, in a file beside it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from analytics.local_archive import PREFIX
from workspace.places import STATE

MARK = ".stockstream-demo"
"""The list of the files that a demo left in a directory, one path a line."""
REPLACED = (PREFIX.rstrip("/"), "tables", "compacted")
"""The folders that a demo replaces."""


def default_directory(stage: str) -> Path:
    """Where the demo of a stage leaves its archive, unless the user names another directory."""
    return STATE / f"{stage}-archive"


def problem_of(directory: Path) -> str | None:
    """Why a directory cannot keep the archive of a demo. None if it can. Nothing is changed or made."""
    if directory.exists() and not directory.is_dir():
        return f"{directory} is not a directory"
    if problem := writing_problem(directory):
        return problem
    foreign = next(_foreign(directory), None)
    if foreign is None:
        return None
    return f"{foreign} would be deleted, and no demo left it there: name another directory, or delete it yourself"


def mark(directory: Path) -> None:
    """List the files that were left in a directory, so that a later demo may replace them."""
    (directory / MARK).write_text("".join(f"{path}\n" for path in _files(directory)), encoding="utf-8")


def writing_problem(directory: Path) -> str | None:
    """Why nothing can be written to a directory, which may not exist yet. None if something can."""
    existing = next(parent for parent in (directory, *directory.parents) if parent.exists())
    try:
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        return f"nothing can be written to {existing}: {error.strerror or error}"
    return None


def _foreign(directory: Path) -> Iterator[Path]:
    """The files in the replaced folders that no demo left there."""
    if directory.parent == STATE:  # a demo's own directory
        return
    try:
        ours = set((directory / MARK).read_text(encoding="utf-8").splitlines())
    except (FileNotFoundError, UnicodeDecodeError):
        ours = set()
    yield from (directory / path for path in _files(directory) if path not in ours)


def _files(directory: Path) -> list[str]:
    """The files in the replaced folders, as paths from the directory."""
    return sorted(
        path.relative_to(directory).as_posix()
        for folder in REPLACED
        for path in (directory / folder).rglob("*")
        if path.is_symlink() or not path.is_dir()
    )
