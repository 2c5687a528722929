"""The store: where one producer leaves what the next one takes over, in S3.

On Fargate a disk lives as long as its task. So the memory of every symbol, and the rows that the drain left, become an
object under `undelivered/`; every producer looks there before its first poll and every minute. An object is in the
journal, committed, before it is deleted, and the journal remembers its key: one that is found again is only deleted.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from typing import Any, Protocol

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from producer_service.deduplication import SymbolHistory
from producer_service.errors import HandoverUnavailable
from producer_service.packing import Row

VERSION = 1


class UndeliveredState(msgspec.Struct, frozen=True):
    """What a producer leaves: rows in the order of their lanes, and what it remembers of each symbol."""

    lanes: int
    rows: tuple[Row, ...]
    histories: dict[str, SymbolHistory]

    @property
    def quotes(self) -> int:
        """How many quotes the rows hold."""
        return sum(row.quotes for row in self.rows)


class HandoverStore(Protocol):
    """Where undelivered states wait, by key; the oldest first."""

    def put(self, key: str, state: UndeliveredState) -> None:
        """Leave something. Raises `HandoverUnavailable`."""

    def waiting(self) -> Iterable[str]:
        """What is there. Raises `HandoverUnavailable`."""

    def get(self, key: str) -> UndeliveredState | None:
        """What is under a key; None if another producer has taken it. Raises `HandoverUnavailable`."""

    def delete(self, key: str) -> None:
        """Take it away; again is no error. Raises `HandoverUnavailable`."""


class _Envelope(msgspec.Struct, frozen=True):
    version: int
    state: UndeliveredState


_DECODER = msgspec.msgpack.Decoder(_Envelope)


class MemoryHandoverStore:
    """A store in memory: what the tests hand over through."""

    def __init__(self) -> None:
        self.states: dict[str, UndeliveredState] = {}

    def put(self, key: str, state: UndeliveredState) -> None:
        """See `HandoverStore.put`."""
        self.states[key] = state

    def waiting(self) -> list[str]:
        """See `HandoverStore.waiting`."""
        return sorted(self.states)

    def get(self, key: str) -> UndeliveredState | None:
        """See `HandoverStore.get`."""
        return self.states.get(key)

    def delete(self, key: str) -> None:
        """See `HandoverStore.delete`."""
        self.states.pop(key, None)


class S3HandoverStore:
    """Objects `undelivered/<stream>/<key>` of a bucket: gzip msgpack. Raises `HandoverUnavailable`."""

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
        """See `HandoverStore.waiting`. Keys begin with the time of their writing, so S3's order is theirs."""
        answer = self._call("list_objects_v2", Prefix=self._prefix)
        return [found["Key"].removeprefix(self._prefix) for found in answer.get("Contents", [])]

    def get(self, key: str) -> UndeliveredState | None:
        """See `HandoverStore.get`."""
        try:
            body = self._call("get_object", Key=self._prefix + key)["Body"].read()
            envelope = _DECODER.decode(gzip.decompress(body))
        except _NotThere:
            return None
        except (OSError, EOFError, msgspec.MsgspecError) as error:
            raise HandoverUnavailable(f"s3://{self._bucket}/{self._prefix}{key}: cannot be read: {error}") from error
        if envelope.version != VERSION:
            raise HandoverUnavailable(f"s3://{self._bucket}/{self._prefix}{key}: of version {envelope.version}")
        return envelope.state

    def delete(self, key: str) -> None:
        """See `HandoverStore.delete`."""
        self._call("delete_object", Key=self._prefix + key)

    def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client, operation)(Bucket=self._bucket, **arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                raise _NotThere from error
            raise HandoverUnavailable(f"s3://{self._bucket}/{self._prefix}: {error}") from error
        except BotoCoreError as error:
            raise HandoverUnavailable(f"s3://{self._bucket}/{self._prefix}: {error}") from error


class _NotThere(Exception):
    pass
