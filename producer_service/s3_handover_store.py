"""The S3 adapter of the handover: one object per state, `undelivered/<stream>/<key>`, as gzipped msgpack.

On Fargate a disk lives only as long as its task, so what a stopping task could not deliver goes to S3.
"""

from __future__ import annotations

import gzip
from typing import Any

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from producer_service.errors import HandoverUnavailable
from producer_service.handover_store import UndeliveredState

VERSION = 2


class S3HandoverStore:
    """The undelivered states of one stream, in a bucket. Every method raises `HandoverUnavailable`."""

    def __init__(self, bucket: str, stream_name: str) -> None:
        self._client: Any = boto3.client(
            "s3", config=Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "max_attempts": 3})
        )
        self._bucket = bucket
        self._prefix = f"undelivered/{stream_name}/"

    def put(self, key: str, state: UndeliveredState) -> None:
        """See `HandoverStore.put`."""
        body = gzip.compress(msgspec.msgpack.encode(_Envelope(VERSION, state)), mtime=0)
        self._call("put_object", Key=self._prefix + key, Body=body)

    def waiting(self) -> list[str]:
        """See `HandoverStore.waiting`. S3 lists keys in their order, and they begin with the time of their writing."""
        response = self._call("list_objects_v2", Prefix=self._prefix)
        return [found["Key"].removeprefix(self._prefix) for found in response.get("Contents", [])]

    def get(self, key: str) -> UndeliveredState | None:
        """See `HandoverStore.get`."""
        try:
            body = self._call("get_object", Key=self._prefix + key)["Body"].read()
            envelope = _DECODER.decode(gzip.decompress(body))
        except _NotFound:
            return None
        except HandoverUnavailable:
            # Without a permission to list every key, S3 answers AccessDenied if a key does not exist.
            if key in self.waiting():
                raise
            return None
        except (OSError, EOFError, msgspec.MsgspecError) as error:
            raise HandoverUnavailable(f"{self._url(key)}: cannot be read: {error}") from error
        if envelope.version != VERSION:
            raise HandoverUnavailable(
                f"{self._url(key)}: has version {envelope.version}, and this program reads {VERSION}"
            )
        return envelope.state

    def delete(self, key: str) -> None:
        """See `HandoverStore.delete`."""
        self._call("delete_object", Key=self._prefix + key)

    def _url(self, key: str = "") -> str:
        return f"s3://{self._bucket}/{self._prefix}{key}"

    def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client, operation)(Bucket=self._bucket, **arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                raise _NotFound from error
            raise HandoverUnavailable(f"{self._url()}: {error}") from error
        except BotoCoreError as error:
            raise HandoverUnavailable(f"{self._url()}: {error}") from error


class _Envelope(msgspec.Struct, frozen=True):
    version: int
    state: UndeliveredState


class _NotFound(Exception):
    pass


_DECODER = msgspec.msgpack.Decoder(_Envelope)
