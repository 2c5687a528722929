"""The directory that keeps a demo's archive: nothing is deleted there that no demo left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from replica import kept_archive

HOUR = "raw-data/dt=2026-11-23/hour=15"


def leave(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(b"lines")


def test_what_a_demo_left_may_be_replaced(tmp_path: Path) -> None:
    leave(tmp_path, f"{HOUR}/A.jsonl.gz", "tables/bars.parquet")
    kept_archive.mark(tmp_path)
    assert kept_archive.problem_of(tmp_path) is None


@pytest.mark.parametrize("name", [f"{HOUR}/mine.jsonl.gz", "raw-data/notes", "tables/mine.parquet"])
@pytest.mark.parametrize("is_marked", [False, True])
def test_what_no_demo_left_is_named_and_kept(tmp_path: Path, name: str, *, is_marked: bool) -> None:
    if is_marked:
        leave(tmp_path, f"{HOUR}/A.jsonl.gz")
        kept_archive.mark(tmp_path)
    leave(tmp_path, name)
    problem = kept_archive.problem_of(tmp_path)
    assert problem is not None
    assert problem.startswith(f"{tmp_path / name} would be deleted, and no demo left it there")


def test_a_link_is_no_file_of_a_demo(tmp_path: Path) -> None:
    (tmp_path / "raw-data").mkdir()
    (tmp_path / "raw-data" / "dt=2026-11-23").symlink_to(tmp_path.parent)
    assert kept_archive.problem_of(tmp_path) is not None


def test_other_files_of_the_directory_do_not_matter(tmp_path: Path) -> None:
    leave(tmp_path, "notes.txt", "other/raw-data/x")
    assert kept_archive.problem_of(tmp_path) is None


def test_a_directory_that_does_not_exist_yet_is_not_made(tmp_path: Path) -> None:
    assert kept_archive.problem_of(tmp_path / "a" / "b") is None
    assert list(tmp_path.iterdir()) == []


def test_a_place_where_nothing_can_be_written_is_refused(tmp_path: Path) -> None:
    leave(tmp_path, "file")
    assert kept_archive.problem_of(tmp_path / "file") == f"{tmp_path / 'file'} is not a directory"
    problem = kept_archive.problem_of(tmp_path / "file" / "archive")
    assert problem is not None
    assert problem.startswith(f"nothing can be written to {tmp_path / 'file'}: ")
    if os.access("/proc", os.F_OK):
        assert kept_archive.problem_of(Path("/proc/archive")) is not None
