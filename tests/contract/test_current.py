"""`compacted/current.json` as it is written: readers of other versions find the tables by it."""

from __future__ import annotations

from datetime import date

import pytest

from analytics import compacted_files, current
from analytics.current import BarsRead, CompactedError, Current, File, TableFiles

WRITTEN = b"""{
 "v": 1,
 "compacted_to": "2026-11-27",
 "written_at": "2026-11-27T02:11:09.000Z",
 "bars": {
  "to": "2026-11-27",
  "at": "2026-11-27T02:11:09.000Z"
 },
 "tables": {
  "compacted_quotes": {
   "metadata": "s3://archive/compacted/compacted_quotes/metadata/3.metadata.json",
   "files": [
    {
     "path": "s3://archive/compacted/compacted_quotes/data/day=2026-11-26/0.parquet",
     "rows": 9,
     "bytes": 419,
     "day": "2026-11-26"
    },
    {
     "path": "s3://archive/compacted/compacted_quotes/data/1.parquet",
     "rows": 1,
     "bytes": 7
    }
   ]
  },
  "archive_days": {
   "metadata": "",
   "files": []
  }
 }
}
"""
FOLDER = "s3://archive/compacted/compacted_quotes"
TABLES = Current(
    compacted_to=date(2026, 11, 27),
    written_at="2026-11-27T02:11:09.000Z",
    bars=BarsRead(to=date(2026, 11, 27), at="2026-11-27T02:11:09.000Z"),
    tables={
        "compacted_quotes": TableFiles(
            f"{FOLDER}/metadata/3.metadata.json",
            (
                File(f"{FOLDER}/data/day=2026-11-26/0.parquet", 9, 419, date(2026, 11, 26)),
                File(f"{FOLDER}/data/1.parquet", 1, 7),
            ),
        ),
        "archive_days": TableFiles("", ()),
    },
)


def test_what_is_written_stays_and_is_read_back() -> None:
    assert current.encode(TABLES) == WRITTEN
    assert current.decode(WRITTEN) == TABLES
    assert list(compacted_files.keys(TABLES)) == [
        "compacted/compacted_quotes/data/day=2026-11-26/0.parquet",
        "compacted/compacted_quotes/data/1.parquet",
    ]


def test_a_later_program_may_add_members() -> None:
    assert current.decode(WRITTEN.replace(b'"v": 1,', b'"v": 1, "further": {},')) == TABLES


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (WRITTEN.replace(b'"v": 1', b'"v": 2'), "has version 2, and this program reads version 1: update it"),
        (b'{"v":2,"files":[]}', "has version 2"),  # of another shape
        (WRITTEN[:-3], "cannot be read: .*. Delete it, and run `compact`"),
        (b'{"v":1}', "cannot be read"),
        (b"\xff", "cannot be read"),
        (b'{"v":1,"\xff":1}', "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_says_what_to_do(body: bytes, problem: str) -> None:
    with pytest.raises(CompactedError, match=rf"^compacted/current\.json {problem}"):
        current.decode(body)
