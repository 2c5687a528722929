"""An archive on this machine, which `sql` reads: the last demo left it, or it was downloaded from a bucket."""

from __future__ import annotations

import shutil
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from analytics.errors import AnalyticsError

DIRECTORY = Path(__file__).parents[1] / "build" / "demo-archive"
"""Where a demo leaves its archive."""
PREFIX = "raw-data/"
RECENT = timedelta(days=7)
"""How many days of arrival the saved queries read."""


class NoArchive(AnalyticsError):
    """There is no archive at the given place. The message says how to get one."""


def prepare(directory: Path) -> None:
    """Make the directory and check that it is writable, before there is an archive to keep. Raises `NoArchive`."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as error:
        raise NoArchive(f"no archive can be written to {directory}: {error}") from error


def download(s3: Any, bucket: str, directory: Path) -> int:
    """Copy the archive of a bucket to `raw-data/` in a directory, and return the number of objects.

    It replaces the archive that was there. If the bucket cannot be read or the directory cannot be written, it raises
    `NoArchive` and keeps that archive.
    """
    try:
        return _copied(s3, bucket, directory)
    except (ClientError, BotoCoreError) as error:
        raise NoArchive(f"the archive of bucket {bucket} cannot be read: {error}") from error
    except OSError as error:
        raise NoArchive(f"the archive cannot be written to {directory}: {error}") from error


def _copied(s3: Any, bucket: str, directory: Path) -> int:
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".") as scratch:
        count = 0
        Path(scratch, PREFIX).mkdir()
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX):
            for listed in page.get("Contents", []):
                path = Path(scratch, listed["Key"])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(s3.get_object(Bucket=bucket, Key=listed["Key"])["Body"].read())
                count += 1
        shutil.rmtree(directory / PREFIX, ignore_errors=True)
        Path(scratch, PREFIX).rename(directory / PREFIX)
    return count


def require(directory: Path) -> Path:
    """The directory, if it holds an archive. Raises `NoArchive` if not."""
    if (directory / PREFIX).is_dir():
        return directory
    if directory == DIRECTORY:
        raise NoArchive("there is no archive yet: run `make demo SECONDS=20` first")
    raise NoArchive(f"{directory} holds no {PREFIX}: set --archive to a directory that holds one, or to s3://BUCKET")


def last_day(directory: Path) -> date | None:
    """The newest day of arrival in an archive. None if it is empty."""
    days = sorted(path.name.removeprefix("dt=") for path in (directory / PREFIX).glob("dt=*"))
    return date.fromisoformat(days[-1]) if days else None


def is_old(last: date, today: date) -> bool:
    """Whether an archive that ends on this day is too old for the saved queries, which would find nothing in it."""
    return last < today - RECENT
