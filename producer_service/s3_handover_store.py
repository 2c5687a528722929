"""The S3 adapter of the handover: one object per state, `undelivered/<stream>/<key>`, as gzipped msgpack.

On Fargate a disk lives only as long as its task, so what a stopping task could not deliver goes to S3. An object that
cannot be used moves to `undelivered/<stream>/refused/<key>`, with the reason in its metadata. The role may write there
anyway, and no listing of the waiting states finds it.
"""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import msgspec
from botocore.config import Config
from botocore.exceptions import ClientError

from producer_service.aws_client import AwsClient, failure_of, in_words
from producer_service.clock import Clock
from producer_service.errors import ForeignState, HandoverUnavailable, UnusableState
from producer_service.handover_store import UndeliveredState
from producer_service.service_time import sign_with

VERSION = 2
MAX_STATE_BYTES = 128 * 2**20
"""The most bytes of a state, unpacked: twice what an outbox holds by default."""
_REFUSED = "refused/"
_MAX_REASON = 500
_GZIP = 16 + zlib.MAX_WBITS


class S3HandoverStore:
    """The undelivered states of one stream, in a bucket. Every method raises `HandoverUnavailable`.

    Requests are signed with the clock's time, since S3 refuses them if the clock of the host is wrong by 15 minutes.
    """

    def __init__(
        self, bucket: str, stream_name: str, *, max_bytes: int = MAX_STATE_BYTES, clock: Clock | None = None
    ) -> None:
        config = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})

        def prepare(client: Any) -> None:
            if clock is not None:
                sign_with(client, clock)

        self._aws = AwsClient("s3", config, prepare)
        self._bucket = bucket
        self._prefix = f"undelivered/{stream_name}/"
        self._max_bytes = max_bytes

    def put(self, key: str, state: UndeliveredState) -> None:
        """See `HandoverStore.put`."""
        envelope = _Envelope(VERSION, msgspec.Raw(msgspec.msgpack.encode(state)))
        body = gzip.compress(msgspec.msgpack.encode(envelope), mtime=0)
        self._call("put_object", Key=self._prefix + key, Body=body)

    def waiting(self) -> list[str]:
        """See `HandoverStore.waiting`. S3 lists keys in their order, and they begin with the time of their writing."""
        response = self._call("list_objects_v2", Prefix=self._prefix, Delimiter="/")
        keys = (found["Key"].removeprefix(self._prefix) for found in response.get("Contents", []))
        return [key for key in keys if key]  # a console makes an object with an empty key, to show a folder

    def get(self, key: str) -> UndeliveredState | None:
        """See `HandoverStore.get`. It reads and unpacks no more than `max_bytes`."""
        try:
            packed = self._read(key)
        except _NotFound:
            return None
        except HandoverUnavailable:
            # Without a permission to list every key, S3 answers AccessDenied if a key does not exist.
            if key in self.waiting():
                raise
            return None
        try:
            envelope = _DECODER.decode(_unpacked(packed, self._max_bytes))
        except Exception as error:  # whatever it is, another attempt would not help
            raise UnusableState(f"{self._url(key)}: cannot be read: {error}") from error
        if envelope.version != VERSION:
            raise ForeignState(f"{self._url(key)}: has version {envelope.version}, and this program reads {VERSION}")
        try:
            return _STATE_DECODER.decode(envelope.state)
        except Exception as error:
            raise UnusableState(f"{self._url(key)}: is no undelivered state: {error}") from error

    def delete(self, key: str) -> None:
        """See `HandoverStore.delete`."""
        self._call("delete_object", Key=self._prefix + key)

    def set_aside(self, key: str, reason: str) -> None:
        """See `HandoverStore.set_aside`."""
        source = self._prefix + key
        self._call(
            "copy_object",
            Key=self._prefix + _REFUSED + key,
            CopySource={"Bucket": self._bucket, "Key": source},
            MetadataDirective="REPLACE",
            Metadata={"reason": " ".join(reason.encode("ascii", "replace").decode().split())[:_MAX_REASON]},
            TaggingDirective="REPLACE",  # to copy tags takes another permission
        )
        self._call("delete_object", Key=source)

    def _read(self, key: str) -> bytes:
        response = self._call("get_object", Key=self._prefix + key)
        size = response["ContentLength"]
        if size > self._max_bytes:
            response["Body"].close()
            raise UnusableState(f"{self._url(key)}: has {size} bytes, and at most {self._max_bytes} are read")
        try:
            body: bytes = response["Body"].read()
        except Exception as error:
            raise HandoverUnavailable(f"{self._url(key)}: {in_words(error)}") from error
        return body

    def _url(self, key: str = "") -> str:
        return f"s3://{self._bucket}/{self._prefix}{key}"

    def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            return getattr(self._aws.get(), operation)(Bucket=self._bucket, **arguments)
        except Exception as error:
            if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in ("NoSuchKey", "404"):
                raise _NotFound from error
            if failure_of(error) == "refused":
                self._aws.renew_credentials()
            raise HandoverUnavailable(f"{self._url()}: {in_words(error)}") from error


class _Envelope(msgspec.Struct, frozen=True):
    version: int
    state: msgspec.Raw
    """It is an `UndeliveredState` if the version is ours."""


class _NotFound(Exception):
    pass


_DECODER = msgspec.msgpack.Decoder(_Envelope)
_STATE_DECODER = msgspec.msgpack.Decoder(UndeliveredState)


def _unpacked(packed: bytes, max_bytes: int) -> bytes:
    """The content of a gzip stream. Raises zlib.error or ValueError if it is damaged, or longer than `max_bytes`."""
    stream = zlib.decompressobj(_GZIP)
    content = stream.decompress(packed, max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"it unpacks to more than {max_bytes} bytes")
    if not stream.eof:
        raise ValueError("it is cut off")
    if stream.unused_data:
        raise ValueError(f"{len(stream.unused_data)} bytes follow its end")
    return content
