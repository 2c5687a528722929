"""A store of objects reads nothing that is not under its root."""

from __future__ import annotations

import io
from typing import Any

import pytest

from operations.errors import Unreadable
from operations.s3 import S3ObjectStore


class OneObject:
    """Every object is the same."""

    def get_object(self, **_: Any) -> dict[str, Any]:
        return {"Body": io.BytesIO(b"content"), "ContentLength": 7}


@pytest.mark.parametrize(
    "address",
    [
        "s3://another/quarantine/x",
        "s3://archive-2/quarantine/x",
        "s3://archive/raw-data/x",
        "s3://archive/quarantine-2/x",
        "https://archive/quarantine/x",
        "archive/quarantine/x",
        "s3://archive",
        "",
    ],
)
def test_an_object_elsewhere_is_not_read(address: str) -> None:
    store = S3ObjectStore(OneObject(), "s3://archive/quarantine/")
    with pytest.raises(Unreadable):
        store.get(address)
    with pytest.raises(Unreadable):
        list(store.list(address))
    with pytest.raises(Unreadable):
        store.move(address, "s3://archive/quarantine/y")
    assert store.get("s3://archive/quarantine/x") == b"content"


def test_by_default_every_bucket_can_be_read() -> None:
    assert S3ObjectStore(OneObject()).get("s3://any/key") == b"content"
