"""Where a watchlist is that a command edits: an object in S3, or a file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

from configuration import ChangedMeanwhile, ConfigurationObject, Stored
from operations.errors import Unavailable, WrongUsage


class Watchlist(NamedTuple):
    """A watchlist as it was read."""

    content: bytes
    stored: Stored | None
    """What a write compares with; None for a file."""


class WatchlistPlace(Protocol):
    """One watchlist."""

    @property
    def address(self) -> str:
        """The path or the address, for messages."""

    def read(self) -> Watchlist | None:
        """The watchlist as it is now; None if there is none."""

    def write(self, content: bytes, read: Watchlist | None) -> None:
        """Write it, if it still is what `read` returned. Raises `ChangedMeanwhile` if it is not."""


class ObjectPlace:
    """See `WatchlistPlace`. S3 refuses the write if somebody else wrote in the meantime."""

    def __init__(self, found: ConfigurationObject) -> None:
        self.address = found.address
        self._object = found

    def read(self) -> Watchlist | None:
        """See `WatchlistPlace.read`."""
        stored = self._object.read()
        return None if stored is None else Watchlist(stored.content, stored)

    def write(self, content: bytes, read: Watchlist | None) -> None:
        """See `WatchlistPlace.write`."""
        self._object.write(content, None if read is None else read.stored)


class FilePlace:
    """See `WatchlistPlace`. It writes into the file, because a container may have mounted this very file."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._path = path

    def read(self) -> Watchlist | None:
        """See `WatchlistPlace.read`."""
        try:
            return Watchlist(self._path.read_bytes(), None)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise WrongUsage(f"{self._path} cannot be read: {error.strerror}") from error

    def write(self, content: bytes, read: Watchlist | None) -> None:
        """See `WatchlistPlace.write`."""
        if self.read() != read:
            raise ChangedMeanwhile(f"{self._path} was changed in the meantime, and nothing was written")
        try:
            self._path.write_bytes(content)
        except OSError as error:
            raise Unavailable(f"{self._path} cannot be written: {error.strerror}") from error
