"""The archive of a pipeline, kept on this disk when the pipeline is gone: what `sql` reads."""

from __future__ import annotations

import shutil
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from analytics.errors import AnalyticsError

DIRECTORY = Path(__file__).parents[1] / "build" / "demo-archive"
"""Where the last demo left its archive."""
PREFIX = "raw-data/"
RECENT = timedelta(days=7)
"""What the saved queries look at."""


class NoArchive(AnalyticsError):
    """There is no archive where one was looked for; the message says how to come by one."""


def prepare(directory: Path) -> None:
    """Make the directory, and see that it can be written to, before there is anything to keep. Raises `NoArchive`."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as error:
        raise NoArchive(f"no archive can be kept in {directory}: {error}") from error


def download(s3: Any, bucket: str, directory: Path) -> int:
    """Copy a bucket's archive to `raw-data/` of a directory, in place of what was kept there. Returns its objects.

    Raises `NoArchive` if the bucket cannot be read or the directory written to, and leaves what was there.
    """
    try:
        return _copied(s3, bucket, directory)
    except (ClientError, BotoCoreError) as error:
        raise NoArchive(f"the archive of bucket {bucket} cannot be read: {error}") from error
    except OSError as error:
        raise NoArchive(f"the archive cannot be kept in {directory}: {error}") from error


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


def found(directory: Path) -> Path:
    """The directory, if it holds an archive. Raises `NoArchive`."""
    if (directory / PREFIX).is_dir():
        return directory
    if directory == DIRECTORY:
        raise NoArchive("there is no archive to ask yet: run `make demo SECONDS=20`, which leaves its own here")
    raise NoArchive(f"{directory} holds no {PREFIX}: name a directory that holds one, or s3://BUCKET")


def last_day(directory: Path) -> date | None:
    """The newest day of arrival that an archive holds; None if it holds none."""
    days = sorted(path.name.removeprefix("dt=") for path in (directory / PREFIX).glob("dt=*"))
    return date.fromisoformat(days[-1]) if days else None


def is_old(last: date, today: date) -> bool:
    """Whether the saved queries see nothing of an archive that ends on that day."""
    return last < today - RECENT
