"""Keeping an archive on this machine."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import compacted_files, current, local_archive
from analytics.current import CompactedError, Current, File, TableFiles
from tests.support.sizes import sized
from workspace.demo_record import DemoRecord


class FakeS3:
    """A bucket of some objects, the last of which may be out of reach."""

    def __init__(self, *keys: str, broken: bool = False, sizes: Mapping[str, int] | None = None) -> None:
        self._keys, self._broken, self._sizes = keys, broken, sizes or {}
        self.compacted: dict[str, bytes] = {}
        """The objects of the compacted tables, by their keys."""

    def get_paginator(self, _: str) -> FakeS3:
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> list[dict[str, Any]]:  # noqa: N803  (boto3's names)
        found = [key for key in (*self._keys, *self.compacted) if Bucket and key.startswith(Prefix)]
        return [{"Contents": [{"Key": key, "Size": self._sizes.get(key, 1)}]} for key in found] or [{}]

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803  (boto3's names)
        if self._broken and Key == self._keys[-1]:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")
        if Key in self.compacted:
            return {"Body": io.BytesIO(self.compacted[Key])}
        return {"Body": io.BytesIO(f"{Bucket}/{Key}".encode())}


def objects(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


FIRST, SECOND = "raw-data/dt=2026-11-23/hour=14/a.jsonl.gz", "raw-data/dt=2026-11-24/hour=00/b.jsonl.gz"


def test_a_download_replaces_the_last_archive_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert local_archive.download(FakeS3(FIRST, SECOND), "bucket", tmp_path).objects == 2
    assert local_archive.last_day(tmp_path) == date(2026, 11, 24)
    assert local_archive.download(FakeS3(FIRST), "bucket", tmp_path).objects == 1
    assert objects(tmp_path) == {"notes.txt", FIRST}
    assert (tmp_path / FIRST).read_bytes() == f"bucket/{FIRST}".encode()
    assert local_archive.require(tmp_path) == tmp_path


def current_json(*paths: str) -> bytes:
    tables = {"compacted_quotes": TableFiles("", tuple(File(path, 1, 4) for path in paths))}
    return current.encode(Current(compacted_to=date(2026, 11, 24), written_at="", tables=tables))


COMPACTED = "compacted/compacted_quotes/data/day=2026-11-23/00ff-0.parquet"


def test_a_download_has_the_files_of_the_compacted_tables(tmp_path: Path) -> None:
    s3 = FakeS3(FIRST)
    s3.compacted = {"compacted/current.json": current_json(f"s3://bucket/{COMPACTED}"), COMPACTED: b"PAR1"}
    assert local_archive.download(s3, "bucket", tmp_path).objects == 3
    assert objects(tmp_path) == {FIRST, "compacted/current.json", COMPACTED}
    assert (tmp_path / COMPACTED).read_bytes() == b"PAR1"
    local_archive.download(FakeS3(FIRST), "bucket", tmp_path)
    assert objects(tmp_path) == {FIRST}


@pytest.mark.parametrize(
    "path",
    [
        "s3://bucket/compacted/../../escaped.parquet",
        "s3://bucket/compacted/x/../../../escaped.parquet",
        "s3://bucket/compacted//etc/x.parquet",
        "s3://bucket/compacted/.x.parquet",
        "s3://bucket/compacted/x.json",
        "s3://bucket/raw-data/x.parquet",
        "s3://bucket/compacted/a\0.parquet",
    ],
)
def test_a_name_that_leads_out_of_the_tables_is_refused(tmp_path: Path, path: str) -> None:
    local_archive.download(FakeS3(FIRST), "bucket", tmp_path)
    s3 = FakeS3(SECOND)
    s3.compacted = {"compacted/current.json": current_json(path)}
    with pytest.raises(CompactedError, match="which is no Parquet file in compacted/"):
        local_archive.download(s3, "bucket", tmp_path)
    assert objects(tmp_path) == {FIRST}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"v":2,"tables":[]}', "has version 2, and this program reads version 1"),
        (current_json(f"s3://bucket/{COMPACTED}"), "is missing, which compacted/current.json names"),
    ],
)
def test_compacted_tables_that_cannot_be_read_are_an_error(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "compacted").mkdir()
    (tmp_path / "compacted" / "current.json").write_bytes(content)
    with pytest.raises(CompactedError, match=problem):
        compacted_files.read(tmp_path)


def test_a_folder_that_is_no_compacted_table_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "compacted").mkdir()
    (tmp_path / "compacted" / "mine.txt").write_text("mine")
    with pytest.raises(local_archive.NoArchive, match="would be replaced"):
        local_archive.download(FakeS3(FIRST), "bucket", tmp_path)


HOUR = "raw-data/dt=2026-11-23/hour=14/"
FOLDERS = ("raw-data/", "raw-data/dt=2026-11-23/", HOUR, "raw-data/dt=2026-11-23_$folder$", f"{HOUR}_$folder$")
FOREIGN = (
    f"{HOUR}../../../../../escaped.jsonl.gz",
    f"{HOUR}..jsonl.gz",
    "raw-data/../../escaped",
    "raw-data/dt=2026-11-23/../../escaped.jsonl.gz",
    "raw-data//etc/passwd",
    "raw-data/C:\\Windows\\x.jsonl.gz",
    f"{HOUR}..\\..\\x.jsonl.gz",
    f"{HOUR}a\0b.jsonl.gz",
    f"{HOUR}a\nb.jsonl.gz",
    f"{HOUR}\u202ea.jsonl.gz",
    f"{HOUR}{'a' * 1000}.jsonl.gz",
    f"{HOUR}~.jsonl.gz",
    f"{HOUR}-rf.jsonl.gz",
    f"{HOUR}a.jsonl.gz/b.jsonl.gz",  # under a key that is a file
    f"{HOUR}a.jsonl.gz/",
    "raw-data/dt=2026-11-23/hour=14",
    "raw-data/dt=2026-13-01/hour=14/a.jsonl.gz",
    "raw-data/dt=2026-11-23/hour=24/a.jsonl.gz",
    "raw-data/dt=\uff12\uff10\uff12\uff16-11-23/hour=14/a.jsonl.gz",
    "raw-data/notes.txt",
    f"{HOUR}A.JSONL.GZ",
)


def test_marks_of_folders_are_no_part_of_an_archive(tmp_path: Path) -> None:
    downloaded = local_archive.download(FakeS3(*FOLDERS, FIRST, sizes=dict.fromkeys(FOLDERS, 0)), "bucket", tmp_path)
    assert (downloaded.objects, downloaded.left_out) == (1, ())
    assert objects(tmp_path) == {FIRST}


@pytest.mark.parametrize("key", FOREIGN, ids=ascii)
def test_a_key_that_the_processor_does_not_write_is_left_out_with_the_reason(tmp_path: Path, key: str) -> None:
    directory = tmp_path / "archive"
    downloaded = local_archive.download(FakeS3(FIRST, key), "bucket", directory)
    assert downloaded.objects == 1
    assert downloaded.left_out == (
        f"left out {key}: the processor's keys are raw-data/dt=YYYY-MM-DD/hour=HH/NAME.jsonl.gz",
    )
    assert objects(tmp_path) == {f"archive/{FIRST}"}


@settings(max_examples=sized(10, 100))
@given(st.lists(st.text(st.sampled_from("ab./\\=-\0\u202eA") | st.characters(), max_size=30), max_size=8))
def test_no_key_leads_out_of_the_directory(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch, "archive")
        local_archive.download(FakeS3(*(f"{HOUR}{name}" for name in names), FIRST), "bucket", directory)
        assert {path.parent for path in Path(scratch).rglob("*") if path.is_file()} == {directory / HOUR}


def test_of_keys_that_are_equal_but_for_case_one_is_kept_and_the_others_are_named(tmp_path: Path) -> None:
    downloaded = local_archive.download(FakeS3(f"{HOUR}A.jsonl.gz", FIRST), "bucket", tmp_path)
    assert downloaded.left_out == (f"left out {FIRST}: another key differs from it only in case",)
    assert objects(tmp_path) == {f"{HOUR}A.jsonl.gz"}


def test_an_empty_object_is_left_out_because_it_would_make_every_query_fail(tmp_path: Path) -> None:
    downloaded = local_archive.download(FakeS3(FIRST, SECOND, sizes={SECOND: 0}), "bucket", tmp_path)
    assert downloaded.left_out == (f"left out {SECOND}: it is empty",)


def test_an_object_that_the_processor_could_not_have_written_is_left_out(tmp_path: Path) -> None:
    downloaded = local_archive.download(FakeS3(FIRST, SECOND, sizes={SECOND: 10**12}), "bucket", tmp_path)
    assert downloaded.left_out == (
        f"left out {SECOND}: it has 1,000,000,000,000 bytes, more than any object of the processor",
    )


def test_of_many_foreign_keys_only_the_first_are_named(tmp_path: Path) -> None:
    keys = [f"raw-data/{number}" for number in range(1_000)]
    left_out = local_archive.download(FakeS3(*keys), "bucket", tmp_path).left_out
    assert len(left_out) == local_archive.MAX_NAMED + 1
    assert left_out[-1] == "left out 990 more objects for such reasons"


def test_a_failed_download_keeps_the_last_archive(tmp_path: Path) -> None:
    local_archive.download(FakeS3(FIRST), "bucket", tmp_path)
    with pytest.raises(local_archive.NoArchive, match="bucket cannot be read"):
        local_archive.download(FakeS3(SECOND, FIRST, broken=True), "bucket", tmp_path)
    assert objects(tmp_path) == {FIRST}


def test_an_unwritable_directory_is_reported_before_there_is_an_archive(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(local_archive.NoArchive, match="no archive can be written to"):
        local_archive.prepare(tmp_path / "file" / "archive")


def test_what_is_no_archive_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "raw-data" / "notes").mkdir(parents=True)
    with pytest.raises(local_archive.NoArchive, match="notes is no part of an archive"):
        local_archive.download(FakeS3(FIRST), "bucket", tmp_path)
    assert (tmp_path / "raw-data" / "notes").is_dir()


def test_a_file_among_the_tables_that_is_none_of_ours_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "bars.parquet").write_text("of the last demo")
    local_archive.prepare(tmp_path)
    (tmp_path / "tables" / "mine.parquet").write_text("mine")
    with pytest.raises(local_archive.NoArchive, match=r"mine\.parquet is no part of an archive"):
        local_archive.prepare(tmp_path)


def test_a_download_replaces_the_bars_and_alerts_of_the_last_archive_too(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "bars.parquet").write_text("of the last demo")
    local_archive.download(FakeS3(FIRST), "bucket", tmp_path)
    assert objects(tmp_path) == {FIRST}


def record(archive: Path) -> DemoRecord:
    return DemoRecord(
        stage="demo",
        process=1,
        started_at=datetime(2026, 11, 23, tzinfo=UTC),
        endpoint_url="",
        region="",
        producer_url="",
        source="",
        outputs={},
        archive=str(archive),
    )


def test_a_directory_without_an_archive_is_named_with_the_option_and_the_variable(tmp_path: Path) -> None:
    with pytest.raises(local_archive.NoArchive, match=r"set --archive \(make: ARCHIVE\) to a directory that holds one"):
        local_archive.require(tmp_path)


def test_the_newest_archive_is_that_of_the_demo_that_ended_last(tmp_path: Path) -> None:
    default, kept, gone = (tmp_path / name for name in ("default", "kept", "gone"))
    (default / "raw-data").mkdir(parents=True)
    assert local_archive.newest(None, (), default) == default
    assert local_archive.newest(record(gone), (), default) == default
    (kept / "raw-data").mkdir(parents=True)
    assert local_archive.newest(record(kept), (record(gone),), default) == kept


def test_without_an_archive_the_message_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(local_archive.NoArchive, match=r"make demo SECONDS=20.*--archive"):
        local_archive.newest(None, (), tmp_path)
    with pytest.raises(local_archive.NoArchive, match="a demo is running, and its archive comes when it ends"):
        local_archive.newest(record(tmp_path), (record(tmp_path),), tmp_path)


def test_an_empty_archive_has_no_last_day_and_one_of_last_week_is_old(tmp_path: Path) -> None:
    local_archive.download(FakeS3(), "bucket", tmp_path)
    assert local_archive.last_day(tmp_path) is None
    (tmp_path / "raw-data" / "dt=notes").mkdir()
    assert local_archive.last_day(tmp_path) is None
    assert [local_archive.is_old(date(2026, 11, day), date(2026, 11, 25)) for day in (17, 18)] == [True, False]
