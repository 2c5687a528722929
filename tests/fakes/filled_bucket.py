"""A stand-in for S3 with a bucket that is not empty."""

# ruff: noqa: N803  (boto3 names arguments as AWS does)

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class FilledBucket:
    """A client of S3 with one bucket that has an object."""

    def __init__(self, name: str, on_empty: Callable[[], None]) -> None:
        self.exceptions = SimpleNamespace(NoSuchBucket=KeyError)
        self._objects = {name: ["code.zip"]}
        self._on_empty = on_empty

    def get_paginator(self, _: str) -> Any:
        return SimpleNamespace(
            paginate=lambda Bucket: iter([{"Contents": [{"Key": key} for key in self._objects[Bucket]]}])
        )

    def delete_objects(self, *, Bucket: str, Delete: dict[str, Any]) -> None:
        for one in Delete["Objects"]:
            self._objects[Bucket].remove(one["Key"])
        self._on_empty()
