"""The compacted tables beside an archive on this machine: `compacted/current.json` names the files that are the tables.

Compaction replaces this object last, after each commit. So its files fit each other and the day that it names, and a
reader needs no catalog.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import msgspec

from analytics.compacted_tables import FOLDER
from analytics.errors import AnalyticsError

CURRENT = f"{FOLDER}/current.json"
_FILE = re.compile(r"(?:[A-Za-z0-9_=-][A-Za-z0-9._=-]*/)*[A-Za-z0-9_-][A-Za-z0-9._=-]*\.parquet", re.ASCII)
VERSION = 1
"""The version of `current.json` that this program reads."""


class CompactedFile(msgspec.Struct, frozen=True):
    """A Parquet file of a table, by the address at which it was written."""

    path: str


class CompactedFiles(msgspec.Struct, frozen=True):
    """The files of a table."""

    files: tuple[CompactedFile, ...]


class Current(msgspec.Struct, frozen=True):
    """The content of `current.json`, as far as readers need it."""

    v: int
    compacted_to: date
    """The tables hold all events before this day (UTC), and none from it on."""
    tables: Mapping[str, CompactedFiles]

    def keys_of(self, table: str) -> tuple[str, ...]:
        """The keys of a table's files in its bucket, or their paths beside the archive. Raises `CompactedError`."""
        return tuple(_key(file.path) for file in self.tables[table].files) if table in self.tables else ()

    def keys(self) -> Iterator[str]:
        """The keys of all files."""
        for table in self.tables:
            yield from self.keys_of(table)


class CompactedError(AnalyticsError):
    """The compacted tables beside an archive cannot be read. The message says what to do."""


def decode(content: bytes) -> Current:
    """Decode the content of `current.json`. Raises `CompactedError`."""
    try:
        current = msgspec.json.decode(content, type=Current)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CompactedError(f"{CURRENT} cannot be read: {error}. Delete it, and run `compact`") from error
    if current.v != VERSION:
        raise CompactedError(f"{CURRENT} has version {current.v}, and this program reads version {VERSION}: update it")
    return current


def read(archive: Path) -> Current | None:
    """The tables beside the archive in a directory. None if it was never compacted. Raises `CompactedError`."""
    try:
        current = decode((archive / CURRENT).read_bytes())
    except FileNotFoundError:
        return None
    for key in current.keys():  # noqa: SIM118  (no mapping)
        if not (archive / key).is_file():
            raise CompactedError(
                f"{archive / key} is missing, which {CURRENT} names: restore it, or make the tables again from the raw "
                "archive (docs/history.md, When tables are damaged)"
            )
    return current


def _key(path: str) -> str:
    """The key of a file, by its address such as `s3://bucket/compacted/…`, `file:///archive/compacted/…` or a path.

    The name of a file on this machine is its key, so a key that leads out of the directory is refused.
    """
    _, found, rest = path.rpartition(f"/{FOLDER}/")
    if not found or not _FILE.fullmatch(rest):
        raise CompactedError(f"{CURRENT} names {path!r:.200}, which is no Parquet file in {FOLDER}/")
    return f"{FOLDER}/{rest}"
