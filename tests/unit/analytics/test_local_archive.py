"""Keeping an archive on this machine."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from analytics import local_archive


class FakeS3:
    """A bucket of some objects, the last of which may be out of reach."""

    def __init__(self, *keys: str, broken: bool = False) -> None:
        self._keys, self._broken = keys, broken

    def get_paginator(self, _: str) -> FakeS3:
        return self

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        return [{"Contents": [{"Key": key}]} for key in self._keys] or [{}]

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803  (boto3's names)
        if self._broken and Key == self._keys[-1]:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")
        return {"Body": io.BytesIO(f"{Bucket}/{Key}".encode())}


def objects(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


FIRST, SECOND = "raw-data/dt=2026-11-23/hour=14/a.jsonl.gz", "raw-data/dt=2026-11-24/hour=00/b.jsonl.gz"


def test_a_download_replaces_the_last_archive_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert local_archive.download(FakeS3(FIRST, SECOND), "bucket", tmp_path) == 2
    assert local_archive.last_day(tmp_path) == date(2026, 11, 24)
    assert local_archive.download(FakeS3(FIRST), "bucket", tmp_path) == 1
    assert objects(tmp_path) == {"notes.txt", FIRST}
    assert (tmp_path / FIRST).read_bytes() == f"bucket/{FIRST}".encode()
    assert local_archive.require(tmp_path) == tmp_path


def test_a_failed_download_keeps_the_last_archive(tmp_path: Path) -> None:
    local_archive.download(FakeS3(FIRST), "bucket", tmp_path)
    with pytest.raises(local_archive.NoArchive, match="bucket cannot be read"):
        local_archive.download(FakeS3(SECOND, FIRST, broken=True), "bucket", tmp_path)
    assert objects(tmp_path) == {FIRST}


def test_an_unwritable_directory_is_reported_before_there_is_an_archive(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(local_archive.NoArchive, match="no archive can be written to"):
        local_archive.prepare(tmp_path / "file" / "archive")


def test_without_an_archive_the_message_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(local_archive.NoArchive, match="set --archive to a directory that holds one"):
        local_archive.require(tmp_path)
    monkeypatch.setattr(local_archive, "DIRECTORY", tmp_path)
    with pytest.raises(local_archive.NoArchive, match="make demo"):
        local_archive.require(tmp_path)


def test_an_empty_archive_has_no_last_day_and_one_of_last_week_is_old(tmp_path: Path) -> None:
    local_archive.download(FakeS3(), "bucket", tmp_path)
    assert local_archive.last_day(tmp_path) is None
    assert [local_archive.is_old(date(2026, 11, day), date(2026, 11, 25)) for day in (17, 18)] == [True, False]
