"""The archive bucket, whose answers may break off."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, ResponseStreamingError

from compaction.errors import Unavailable
from operations.archive_bucket import BucketArchive


class Breaking:
    """A bucket with one object, and the connection breaks off within the first answers."""

    def __init__(self, breaks: int) -> None:
        self._breaks = breaks

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803  (of boto3)
        if Key != "raw-data/1":
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": ""}}, "GetObject")
        return {"Body": self, "ETag": '"1"'}

    def read(self) -> bytes:
        self._breaks -= 1
        if self._breaks >= 0:
            raise ResponseStreamingError(error="connection reset")
        return b"lines"


@pytest.mark.parametrize("breaks", [0, 1, 2])
def test_an_object_whose_answer_breaks_off_is_read_again(breaks: int) -> None:
    archive = BucketArchive(Breaking(breaks), "archive")
    assert archive.get_tagged("raw-data/1") == (b"lines", '"1"')
    assert archive.get("raw-data/2") is None


def test_an_object_that_breaks_off_each_time_is_named() -> None:
    with pytest.raises(Unavailable, match=r"s3://archive/raw-data/1: .*connection reset"):
        BucketArchive(Breaking(3), "archive").get("raw-data/1")
