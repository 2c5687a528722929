"""S3: objects by their addresses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from aws_limits import LAMBDA_PAYLOAD_BYTES
from operations.aws import translated_errors
from operations.errors import NotFound, Unreadable

MAX_OBJECT_BYTES = 10 * LAMBDA_PAYLOAD_BYTES
"""The largest object that is read. The processor and Lambda write about as much as one event."""
_SCHEME = "s3://"


class S3ObjectStore:
    """The objects whose addresses begin with `root`. By default, these are all that the credentials can reach."""

    def __init__(self, client: Any, root: str = _SCHEME) -> None:
        self._client, self._root = client, root

    def list(self, prefix: str, *, written_since: datetime | None = None) -> Iterator[str]:
        """See `ports.ObjectStore`."""
        bucket, key_prefix = self._split(prefix)
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key_prefix)
        with translated_errors(prefix):
            for page in pages:
                for found in page.get("Contents", ()):
                    if written_since is None or found["LastModified"] >= written_since:
                        yield f"{_SCHEME}{bucket}/{found['Key']}"

    def get(self, address: str) -> bytes:
        """See `ports.ObjectStore`."""
        bucket, key = self._split(address)
        with translated_errors(address):
            try:
                found = self._client.get_object(Bucket=bucket, Key=key)
                if found["ContentLength"] > MAX_OBJECT_BYTES:
                    raise Unreadable(f"{address} has {found['ContentLength']:,} bytes, more than any object of ours")
                body: bytes = found["Body"].read()
            except ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchKey":
                    raise NotFound(f"{address} does not exist") from error
                raise
        return body

    def move(self, address: str, to: str) -> None:
        """See `ports.ObjectStore`."""
        (bucket, key), (to_bucket, to_key) = self._split(address), self._split(to)
        with translated_errors(address):
            try:
                self._client.copy_object(Bucket=to_bucket, Key=to_key, CopySource={"Bucket": bucket, "Key": key})
            except ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchKey":  # it was moved before
                    return
                raise
            self._client.delete_object(Bucket=bucket, Key=key)

    def _split(self, address: str) -> tuple[str, str]:
        """The bucket and the key of an address."""
        bucket, slash, key = address.removeprefix(_SCHEME).partition("/")
        if not (address.startswith(_SCHEME) and bucket and slash):
            raise Unreadable(f"{address!r} is not an address like s3://bucket/key")
        if not address.startswith(self._root):
            raise Unreadable(f"{address} is not under {self._root}, and nothing else is read")
        return bucket, key
