"""The built dashboard: uploads it to its bucket, in an order in which every moment shows one whole version."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from deployment.cloudformation import aws_errors_about
from deployment.errors import DeploymentError
from deployment.functions import ROOT

BUNDLE = ROOT / "web" / "dist"
"""The built page, which is committed, so that a deployment needs no Node."""
CONFIGURATION = "config.json"
"""The file beside the page that says where it runs and how it logs in. A deployment writes it."""
_INDEX = "index.html"
_ASSETS = "assets/"
"""The folder of the files whose names contain the hash of their content."""
_FOR_EVER, _ASK_EACH_TIME = "public, max-age=31536000, immutable", "no-cache"
_KEPT = timedelta(days=7)
"""How long files of earlier versions stay, for pages that are open meanwhile."""
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file of the page, as S3 gets it."""

    key: str
    body: bytes
    content_type: str
    cache_control: str


def files_of(folder: Path, configuration: Mapping[str, Any]) -> tuple[File, ...]:
    """The files of a built page with its configuration, in the order of their upload. Raises `DeploymentError`.

    What others refer to comes first and index.html last, so a page that loads meanwhile finds all that it names.
    """
    if not (folder / _INDEX).is_file():
        raise DeploymentError(
            f"the dashboard is not built: {folder / _INDEX} is missing. The repository has it; build it again with npm "
            "(docs/dashboard.md), or deploy with Serve=api"
        )
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    bodies = {key: path.read_bytes() for key, path in paths.items()}
    bodies[CONFIGURATION] = json.dumps(configuration).encode()
    return tuple(_file(key, bodies[key]) for key in sorted(bodies, key=_order))


def configuration_of(stage: str, outputs: Mapping[str, str]) -> dict[str, Any]:
    """What the page reads at its start. `outputs` are those of the stack web."""
    auth = json.loads(outputs["LoginConfiguration"])
    return {"name": "stockstream", "stage": stage, "apiBase": "", "auth": auth}


@dataclass(frozen=True, slots=True)
class Page:
    """The bucket of a dashboard."""

    s3: Any
    bucket: str
    report: Callable[[str], None]
    """Called with a line of text for each step."""

    def upload(self, files: tuple[File, ...]) -> None:
        """Write the files, and remove those of versions that were replaced a week ago. Raises `DeploymentError`."""
        with aws_errors_about(f"the upload of the dashboard to {self.bucket}"):
            for file in files:
                self.s3.put_object(
                    Bucket=self.bucket,
                    Key=file.key,
                    Body=file.body,
                    ContentType=file.content_type,
                    CacheControl=file.cache_control,
                )
            self.report(f"uploaded the dashboard: {len(files)} files")
            old = list(self._outdated({file.key for file in files}))
            if old:
                keys = [{"Key": key} for key in old]
                self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": keys, "Quiet": True})
                self.report(f"removed {len(old)} files of earlier versions of the dashboard")

    def _outdated(self, current: set[str]) -> Iterator[str]:
        """The files that are older than the newest by more than a week, and not of this version."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        listed = [one for page in pages for one in page.get("Contents", [])]
        newest = max(one["LastModified"] for one in listed)
        for one in listed:
            if one["Key"] not in current and newest - one["LastModified"] > _KEPT:
                yield one["Key"]


def _order(key: str) -> tuple[bool, bool, str]:
    return (key == _INDEX, not key.startswith(_ASSETS), key)


def _file(key: str, body: bytes) -> File:
    suffix = PurePosixPath(key).suffix
    if suffix not in _TYPES:
        raise DeploymentError(f"the dashboard has a file of an unknown type: {key}. Add its type to deployment/page.py")
    return File(key, body, _TYPES[suffix], _FOR_EVER if key.startswith(_ASSETS) else _ASK_EACH_TIME)
