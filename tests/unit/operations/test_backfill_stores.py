"""The table of bars and the archive of finished chunks, as DynamoDB and S3 answer."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from backfill.chunk_file import key_of
from backfill.chunks import Chunk
from operations.backfill_stores import ArchivedChunks, BackfillBars
from operations.errors import Unavailable

CHUNK = Chunk("BRK-B", "1m", datetime(2026, 11, 23, 5, tzinfo=UTC), datetime(2026, 11, 27, 21, tzinfo=UTC))


class Bucket:
    """A bucket that a role may list under a prefix alone. S3 hides from it whether an object exists."""

    def __init__(self, *keys: str, refused: bool = False) -> None:
        self._keys, self._is_refused = keys, refused

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803  (of boto3)
        if self._is_refused or Key not in self._keys:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, "GetObject")
        return {"Body": io.BytesIO(b"content"), "ContentLength": 7}

    def get_paginator(self, _: str) -> Bucket:
        return self

    def paginate(self, *, Prefix: str, **_: Any) -> Iterator[dict[str, Any]]:  # noqa: N803  (of boto3)
        yield {"Contents": [{"Key": key} for key in self._keys if key.startswith(Prefix)]}


def test_a_chunk_that_s3_denies_because_it_does_not_exist_is_none() -> None:
    assert ArchivedChunks(Bucket(key_of(CHUNK)), "archive").get(CHUNK) == b"content"
    assert ArchivedChunks(Bucket(f"{key_of(CHUNK)}.old"), "archive").get(CHUNK) is None


def test_a_chunk_that_exists_and_is_denied_is_an_error() -> None:
    with pytest.raises(Unavailable, match="AccessDenied"):
        ArchivedChunks(Bucket(key_of(CHUNK), refused=True), "archive").get(CHUNK)


class Pages:
    """A table whose queries have three pages of a bar each. It notes which have been read."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def get_paginator(self, _: str) -> Pages:
        return self

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        for number in range(3):
            self.read.append(number)
            yield {"Items": [{"symbol": {"S": "AAPL"}, "key": {"S": f"1m#{number}"}}]}


def test_the_bars_of_a_long_time_are_read_page_by_page() -> None:
    pages = Pages()
    rows = BackfillBars(pages, "bars").each_between("AAPL", "1m#", "1m#:")
    assert next(rows)["key"] == "1m#0"
    assert pages.read == [0]
    assert [row["key"] for row in rows] == ["1m#1", "1m#2"]
