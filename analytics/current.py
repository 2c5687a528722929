"""`compacted/current.json`: which files are the compacted tables at the moment, for readers without a catalog. Pure.

The compaction writes it by `encode`, and every program reads it by `decode`:

    {"v":1,"compacted_to":"2026-11-27","written_at":"2026-11-27T02:11:09.000Z",
     "bars":{"to":"2026-11-27","at":"2026-11-27T02:11:09.000Z"},"tables":{"compacted_quotes":{
     "metadata":"s3://archive/compacted/compacted_quotes/metadata/00003-….metadata.json",
     "files":[{"path":"s3://archive/compacted/compacted_quotes/data/….parquet","rows":9,"bytes":419,"day":"2026-11-26"}]}}}

Addresses are those in Iceberg's metadata. In a copy of an archive, the part from `compacted/` on is the place of a
file. The compaction replaces the object after it has committed the tables. So the files that it names are complete, and
they stay for some days after they were replaced.
"""

from __future__ import annotations

from datetime import date

import msgspec

from analytics.compacted_tables import FOLDER
from analytics.errors import AnalyticsError

KEY = f"{FOLDER}/current.json"
VERSION = 1


class CompactedError(AnalyticsError):
    """The compacted tables beside an archive cannot be read. The message says what to do."""


class _Versioned(msgspec.Struct, frozen=True):
    v: int


class File(msgspec.Struct, frozen=True, omit_defaults=True):
    """A Parquet file of a table."""

    path: str
    rows: int
    bytes: int
    day: date | None = None
    """The value of its partition: the event day, or the first day of the month of bars. None without partitions."""


class TableFiles(msgspec.Struct, frozen=True):
    """The files that are a table."""

    metadata: str
    files: tuple[File, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """The addresses of the files."""
        return tuple(each.path for each in self.files)


class BarsRead(msgspec.Struct, frozen=True, kw_only=True):
    """Which bars the last run that knew the table of bars has read. A run without that table reads none."""

    to: date | None
    """The bars of earlier days are in `compacted_bars`."""
    at: str
    """When the run began. Chunks that were archived before have been read."""


class Current(msgspec.Struct, frozen=True, kw_only=True):
    """The tables at one moment."""

    v: int = VERSION
    compacted_to: date
    """The first event day (UTC) that is not closed. The tables hold every earlier one completely."""
    written_at: str
    bars: BarsRead | None = None
    """None until a run has read the table of bars."""
    tables: dict[str, TableFiles]


def encode(current: Current) -> bytes:
    """The bytes of the object."""
    return msgspec.json.format(msgspec.json.encode(current), indent=1) + b"\n"


def decode(body: bytes) -> Current:
    """What the object says. Raises `CompactedError`."""
    try:
        version = msgspec.json.decode(body, type=_Versioned).v
        if version != VERSION:
            raise CompactedError(f"{KEY} has version {version}, and this program reads version {VERSION}: update it")
        return msgspec.json.decode(body, type=Current)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CompactedError(f"{KEY} cannot be read: {error}. Delete it, and run `compact`") from error
