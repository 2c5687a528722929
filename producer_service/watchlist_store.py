"""Where the watchlist is: the port of the file and of the object in S3."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Found(NamedTuple):
    """A watchlist that was read."""

    content: bytes
    version: str
    """Another content has another version."""


class WatchlistStore(Protocol):
    """One watchlist. Not thread-safe."""

    @property
    def location(self) -> str:
        """The path or the address, for messages."""

    def read(self, known: str | None) -> Found | None:
        """The watchlist as it is now; None if its version is the known one. Raises `WatchlistUnavailable`."""
