"""The archive bucket, as the package `compaction` reads and writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from compaction.errors import Conflict, Unavailable
from compaction.ports import ArchiveObject

_DELETED_AT_ONCE = 1_000
"""The most keys of a DeleteObjects request."""
_MISSING = {"NoSuchKey", "404"}
_BROKEN = (ResponseStreamingError, IncompleteReadError, ReadTimeoutError)
"""The connection ended within an answer. A day has thousands of objects, and one of them must not fail it."""
_READINGS = 3
_CHANGED = {"PreconditionFailed", "ConditionalRequestConflict"}


class BucketArchive:
    """The archive in a bucket. It implements `compaction.ports.Archive` with a client of boto3."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    @property
    def root(self) -> str:
        """See `compaction.ports.Archive`."""
        return f"s3://{self._bucket}"

    def folders(self, prefix: str) -> list[str]:
        """See `compaction.ports.Archive`."""
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix, Delimiter="/"
            )
            found = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", ())]
        return [each.removeprefix(prefix).removesuffix("/") for each in found]

    def objects(self, prefix: str) -> Iterator[ArchiveObject]:
        """See `compaction.ports.Archive`."""
        with self._errors(prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                for each in page.get("Contents", ()):
                    yield ArchiveObject(each["Key"], each["Size"], each["ETag"], each["LastModified"])

    def get(self, key: str) -> bytes | None:
        """See `compaction.ports.Archive`."""
        found = self.get_tagged(key)
        return None if found is None else found[0]

    def get_tagged(self, key: str) -> tuple[bytes, str] | None:
        """See `compaction.ports.Archive`. The SDK repeats a request, but not the reading of its answer."""
        with self._errors(key):
            for _ in range(_READINGS - 1):
                with suppress(*_BROKEN):
                    return self._read(key)
            return self._read(key)

    def put(self, key: str, body: bytes, *, replaces: str | None) -> None:
        """See `compaction.ports.Archive`."""
        condition = {"IfNoneMatch": "*"} if replaces is None else {"IfMatch": replaces}
        with self._errors(key):
            try:
                self._client.put_object(Bucket=self._bucket, Key=key, Body=body, **condition)
            except ClientError as error:
                if error.response["Error"]["Code"] in _CHANGED:
                    raise Conflict(f"{self.root}/{key} was changed by another program") from error
                raise

    def delete(self, keys: Iterable[str]) -> None:
        """See `compaction.ports.Archive`."""
        waiting = list(keys)
        for start in range(0, len(waiting), _DELETED_AT_ONCE):
            some = waiting[start : start + _DELETED_AT_ONCE]
            with self._errors(some[0]):
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in some], "Quiet": True}
                )
            for refused in answer.get("Errors", ()):
                raise Unavailable(f"{self.root}/{refused['Key']} cannot be deleted: {refused['Message']}")

    def _read(self, key: str) -> tuple[bytes, str] | None:
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise
        return found["Body"].read(), found["ETag"]

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"{self.root}/{key}: {error}") from error
