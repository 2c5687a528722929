"""An archive on this machine, which `sql` reads: the last demo left it, or it was downloaded from a bucket.

Anybody with access to the bucket chooses keys. A file gets the name of its key only if the key is like those that the
processor writes. So no key leads out of the directory, and no two keys lead to one file.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from analytics import compacted_files, current, local_tables
from analytics.compacted_tables import FOLDER
from analytics.errors import AnalyticsError
from workspace.demo_record import DemoRecord
from workspace.places import STATE

DIRECTORY = STATE / "demo-archive"
"""Where a demo leaves its archive."""
PREFIX = "raw-data/"
RECENT = timedelta(days=7)
"""How many days of arrival the saved queries read."""
MAX_BYTES = 64_000_000
"""The largest object that is copied. The processor writes one for an event, of which Lambda allows 6 MB."""
MAX_NAMED = 10
"""How many of the keys that were left out are named."""
_KEY = re.compile(r"raw-data/dt=(\d{4}-\d\d-\d\d)/hour=(\d\d)/[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.jsonl\.gz", re.ASCII)
_HOUR = "%Y-%m-%d %H"
_FOLDER_MARKS = ("/", "_$folder$")
"""The ends of the keys of empty objects that consoles and Hadoop write in place of folders."""


class Downloaded(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a download."""

    objects: int
    """The number of objects that were copied."""
    left_out: tuple[str, ...] = ()
    """A sentence for each object that is not the processor's, at most `MAX_NAMED`, and one for the number of others."""


class NoArchive(AnalyticsError):
    """There is no archive at the given place. The message says how to get one."""


class WrongArchive(NoArchive):
    """The directory that was named is no archive."""


def prepare(directory: Path) -> None:
    """Make the directory and check that an archive can be written there, before there is one to keep.

    The old archive is replaced. Raises `NoArchive` if that would delete anything else.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
        foreign = next(_foreign(directory), None)
    except OSError as error:
        raise NoArchive(f"no archive can be written to {directory}: {error}") from error
    if foreign is not None:
        raise NoArchive(f"{foreign} is no part of an archive, and would be replaced: use another directory")


def download(s3: Any, bucket: str, directory: Path) -> Downloaded:
    """Copy the archive of a bucket to `raw-data/` in a directory, and the compacted tables to `compacted/`.

    It replaces the archive that was there, with its bars and alerts. If the bucket cannot be read or the directory
    cannot be written, it raises `NoArchive` and keeps that archive.
    """
    prepare(directory)
    try:
        return _copied(s3, bucket, directory)
    except (ClientError, BotoCoreError) as error:
        raise NoArchive(f"the archive of bucket {bucket} cannot be read: {error}") from error
    except OSError as error:
        raise NoArchive(f"the archive cannot be written to {directory}: {error}") from error


def _copied(s3: Any, bucket: str, directory: Path) -> Downloaded:
    with tempfile.TemporaryDirectory(dir=directory, prefix=".") as scratch:
        count = others = 0
        left_out: list[str] = []
        names: set[str] = set()  # without case, which some file systems ignore
        Path(scratch, PREFIX).mkdir()
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX):
            for listed in page.get("Contents", []):
                key: str = listed["Key"]
                if key.endswith(_FOLDER_MARKS) and not listed["Size"]:
                    continue
                if problem := _problem_of(key, listed["Size"], names):
                    others += 1
                    if others <= MAX_NAMED:
                        left_out.append(f"left out {key}: {problem}")
                    continue
                names.add(key.lower())
                _copy(s3, bucket, key, Path(scratch))
                count += 1
        count += _copy_compacted(s3, bucket, Path(scratch))
        for old in (PREFIX, local_tables.DIRECTORY, FOLDER):
            shutil.rmtree(directory / old, ignore_errors=True)
        for new in (PREFIX, FOLDER):
            if Path(scratch, new).is_dir():
                Path(scratch, new).rename(directory / new)
    if others > MAX_NAMED:
        left_out.append(f"left out {others - MAX_NAMED:,} more objects for such reasons")
    return Downloaded(objects=count, left_out=tuple(left_out))


def _copy_compacted(s3: Any, bucket: str, directory: Path) -> int:
    """Copy the files that are the compacted tables now, if there are any. Returns how many objects were copied."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=current.KEY)
    if not any(page.get("Contents") for page in pages):
        return 0
    _copy(s3, bucket, current.KEY, directory)
    keys = list(compacted_files.keys(current.decode((directory / current.KEY).read_bytes())))
    for key in keys:
        _copy(s3, bucket, key, directory)
    return len(keys) + 1


def _copy(s3: Any, bucket: str, key: str, directory: Path) -> None:
    """Copy an object to the file that is named like its key."""
    path = directory / key
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        shutil.copyfileobj(s3.get_object(Bucket=bucket, Key=key)["Body"], file)


def _foreign(directory: Path) -> Iterator[Path]:
    """What is in the place of an archive, and is no part of one."""
    tables = {table.file_in(directory) for table in local_tables.TABLES}
    for path in (directory / PREFIX).glob("*"):
        if not path.name.startswith(("dt=", ".")):
            yield path
    for path in (directory / local_tables.DIRECTORY).glob("*"):
        if path not in tables:
            yield path
    if (directory / FOLDER).is_dir() and not (directory / current.KEY).is_file():
        yield directory / FOLDER


def _problem_of(key: str, size: int, names: Collection[str]) -> str | None:
    """Why an object is no part of the archive. None if its key can be the name of a file, beside files of `names`."""
    match = _KEY.fullmatch(key)
    if match is None or not _is_hour(f"{match[1]} {match[2]}"):
        return "the processor's keys are raw-data/dt=YYYY-MM-DD/hour=HH/NAME.jsonl.gz"
    if not size:
        return "it is empty"
    if size > MAX_BYTES:
        return f"it has {size:,} bytes, more than any object of the processor"
    return "another key differs from it only in case" if key.lower() in names else None


def _is_hour(text: str) -> bool:
    try:
        datetime.strptime(text, _HOUR)  # noqa: DTZ007  (it is only checked)
    except ValueError:
        return False
    return True


def require(directory: Path) -> Path:
    """The directory, if it holds an archive. Raises `WrongArchive` if not."""
    if (directory / PREFIX).is_dir():
        return directory
    raise WrongArchive(
        f"{directory} holds no {PREFIX}: set --archive (make: ARCHIVE) to a directory that holds one, or to s3://BUCKET"
    )


def newest(last: DemoRecord | None, running: Sequence[DemoRecord], default: Path = DIRECTORY) -> Path:
    """The archive of the demo that ended last. Raises `NoArchive` if there is none."""
    places = [default] if last is None else [Path(last.archive), default]
    for place in places:
        if (place / PREFIX).is_dir():
            return place
    if running:
        raise NoArchive(
            "a demo is running, and its archive comes when it ends: press Ctrl-C there, and ask after its summary"
        )
    raise NoArchive(
        "there is no archive yet: run `make demo SECONDS=20` first, or name one with --archive (make: ARCHIVE)"
    )


def last_day(directory: Path) -> date | None:
    """The newest day of arrival in an archive. None if it is empty."""
    days = []
    for path in (directory / PREFIX).glob("dt=*"):
        with suppress(ValueError):  # somebody else's directory
            days.append(date.fromisoformat(path.name.removeprefix("dt=")))
    return max(days, default=None)


def is_old(last: date, today: date) -> bool:
    """Whether an archive that ends on this day is too old for the saved queries, which would find nothing in it."""
    return last < today - RECENT
