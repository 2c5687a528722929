"""The files of the compacted tables beside an archive on this machine, by its `compacted/current.json`.

Compaction replaces this object last, after each commit. So its files fit each other and the day that it names, and a
reader needs no catalog.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from analytics.compacted_tables import FOLDER
from analytics.current import KEY, CompactedError, Current, decode

_FILE = re.compile(r"(?:[A-Za-z0-9_=-][A-Za-z0-9._=-]*/)*[A-Za-z0-9_-][A-Za-z0-9._=-]*\.parquet", re.ASCII)


def keys_of(current: Current, table: str) -> tuple[str, ...]:
    """The keys of a table's files in its bucket, or their paths beside the archive. Raises `CompactedError`."""
    return tuple(_key(path) for path in current.tables[table].paths) if table in current.tables else ()


def keys(current: Current) -> Iterator[str]:
    """The keys of all files. Raises `CompactedError`."""
    for table in current.tables:
        yield from keys_of(current, table)


def read(archive: Path) -> Current | None:
    """The tables beside the archive in a directory. None if it was never compacted. Raises `CompactedError`."""
    try:
        current = decode((archive / KEY).read_bytes())
    except FileNotFoundError:
        return None
    for key in keys(current):
        if not (archive / key).is_file():
            raise CompactedError(
                f"{archive / key} is missing, which {KEY} names: restore it, or make the tables again from the raw "
                "archive (docs/history.md, When tables are damaged)"
            )
    return current


def _key(path: str) -> str:
    """The key of a file, by its address such as `s3://bucket/compacted/…`, `file:///archive/compacted/…` or a path.

    The name of a file on this machine is its key, so a key that leads out of the directory is refused.
    """
    _, found, rest = path.rpartition(f"/{FOLDER}/")
    if not found or not _FILE.fullmatch(rest):
        raise CompactedError(f"{KEY} names {path!r:.200}, which is no Parquet file in {FOLDER}/")
    return f"{FOLDER}/{rest}"
