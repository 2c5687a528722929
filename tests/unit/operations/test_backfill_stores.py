"""The archive of finished chunks in S3."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from backfill.chunk_file import key_of
from backfill.chunks import Chunk
from operations.backfill_stores import ArchivedChunks
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
