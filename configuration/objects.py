"""The objects of the configuration in S3: their keys, and how a command reads and writes one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from configuration.errors import ChangedMeanwhile, ConfigurationError

WATCHLIST_KEY = "configuration/watchlist.toml"
"""The key of the watchlist in the archive's bucket. The producer reads it."""
RULES_KEY = "configuration/rules.toml"
"""The key of the alert rules in the archive's bucket. The stream function reads it."""
MAX_BYTES = 1_000_000
"""The largest object that is read or written. A watchlist of 10,000 symbols has a tenth of it."""

_CONTENT_TYPE = "application/toml"
_MISSING = {"NoSuchKey", "404"}
# S3 answers 409 if another request writes the same key at the same time, and 404 to If-Match if the object is gone:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
_CHANGED = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409", *_MISSING}


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it was read or written."""

    content: bytes
    etag: str
    """What a later write compares, with its quotation marks."""
    version: str | None
    """The id of this version; None in a bucket that keeps no versions."""


class ConfigurationObject:
    """One object of the configuration. Every method raises `ConfigurationError` if S3 refuses or does not answer."""

    def __init__(self, s3: Any, bucket: str, key: str) -> None:
        """`s3` is a client of boto3."""
        self._s3, self._bucket, self._key = s3, bucket, key

    @property
    def address(self) -> str:
        """The address of the object, such as s3://bucket/configuration/rules.toml."""
        return f"s3://{self._bucket}/{self._key}"

    def read(self) -> Stored | None:
        """The object as it is now; None if it does not exist."""
        with self._errors("cannot be read"):
            try:
                found = self._s3.get_object(Bucket=self._bucket, Key=self._key)
            except ClientError as error:
                if error.response["Error"]["Code"] in _MISSING:
                    return None
                raise
            self._check_size(found["ContentLength"])
            return Stored(found["Body"].read(), found["ETag"], found.get("VersionId"))

    def write(self, content: bytes, read: Stored | None) -> Stored:
        """Write the object, if it still is what `read` returned, and return what is stored now.

        Raises `ChangedMeanwhile` if it is not. The same content is not written again.
        """
        if read is not None and read.content == content:
            return read
        self._check_size(len(content))
        condition = {"IfNoneMatch": "*"} if read is None else {"IfMatch": read.etag}
        with self._errors("cannot be written"):
            try:
                done = self._s3.put_object(
                    Bucket=self._bucket, Key=self._key, Body=content, ContentType=_CONTENT_TYPE, **condition
                )
            except ClientError as error:
                if error.response["Error"]["Code"] in _CHANGED:
                    raise ChangedMeanwhile(
                        f"{self.address} was changed by somebody else in the meantime, and nothing was written: "
                        "look at it, and run the command again"
                    ) from error
                raise
            return Stored(content, done["ETag"], done.get("VersionId"))

    def _check_size(self, size: int) -> None:
        if size > MAX_BYTES:
            raise ConfigurationError(f"{self.address}: {size:,} bytes are too many; the most is {MAX_BYTES:,}")

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            reason = error.response["Error"].get("Message") or error
            raise ConfigurationError(f"{self.address} {what}: {reason}") from error
        except BotoCoreError as error:
            raise ConfigurationError(f"{self.address} {what}: {error}") from error
