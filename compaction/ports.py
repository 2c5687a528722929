"""What the job needs of its surroundings: the archive, the views of Athena, and the stored bars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, Protocol

import msgspec

from quotes import Action


class ArchiveObject(msgspec.Struct, frozen=True):
    """An object of the archive."""

    key: str
    bytes: int
    tag: str
    """Another content has another tag: the ETag in S3."""
    written_at: datetime


class Archive(Protocol):
    """The archive: the bucket, or a directory with the same keys. Every call raises `Unavailable`."""

    @property
    def root(self) -> str:
        """What stands before a key in an address: `s3://bucket`, or an absolute path."""

    def folders(self, prefix: str) -> list[str]:
        """The names of the folders below a prefix that ends with a slash."""

    def objects(self, prefix: str) -> Iterator[ArchiveObject]:
        """The objects whose keys start with a prefix, in alphabetical order."""

    def get(self, key: str) -> bytes | None:
        """The bytes of an object. None if it does not exist."""

    def get_tagged(self, key: str) -> tuple[bytes, str] | None:
        """The bytes of an object, and its tag. None if it does not exist."""

    def put(self, key: str, body: bytes, *, replaces: str | None) -> None:
        """Write an object in place of the one with this tag, or of none. Raises `Conflict` if that is not there."""

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects, also those that do not exist."""


class Views(Protocol):
    """The views of Athena, which name the first day that is not compacted."""

    def replace(self, compacted_to: date) -> None:
        """Let the views read days before this one from the tables, and the rest from the raw archive."""


class Backfilled(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk of history that a backfill has archived."""

    key: str
    symbol: str
    resolution: str
    start: datetime
    end: datetime
    fetched_at: datetime
    actions: tuple[Action, ...]


class History(Protocol):
    """What was made of quotes, and what a backfill fetched. Every call raises `Unavailable` or `Damaged`."""

    def symbols(self) -> list[str]:
        """The symbols that may have bars."""

    def bars(self, symbol: str, resolution: str, start: datetime, end: datetime) -> Iterator[Mapping[str, Any]]:
        """The rows of the table of bars from `start` up to but not including `end`, with DynamoDB's attributes."""

    def chunks(self, since: datetime | None) -> Iterator[Backfilled]:
        """The chunks that were archived since a time, or all of them."""

    def sessions(self, before: datetime) -> Iterator[Mapping[str, Any]]:
        """The rows of the table `compacted_sessions` whose sessions have ended before a time."""
