"""A watchlist that is a local file, and the copy of the last good one beside the journal."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from producer_service.errors import WatchlistUnavailable
from producer_service.private_files import make_directory, make_file
from producer_service.watchlist_store import Found
from watchlist import MAX_BYTES


def read(path: Path) -> bytes:
    """The content of a file, as far as a watchlist may be long. Raises `WatchlistUnavailable`."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise WatchlistUnavailable(f"{path}: {error.strerror}") from error


class FileWatchlist:
    """See `WatchlistStore`. The version is a digest of the content, since editors replace files or write into them."""

    def __init__(self, path: Path) -> None:
        self.location = str(path)
        self._path = path

    def read(self, known: str | None) -> Found | None:
        """See `WatchlistStore.read`."""
        content = read(self._path)
        version = blake2b(content, digest_size=16).hexdigest()
        return None if version == known else Found(content, version)


class LastGood:
    """The copy of the last good watchlist. A producer starts with it while S3 has none that it can use."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "watchlist.toml"

    @property
    def location(self) -> str:
        """The path, for messages."""
        return str(self._path)

    def read(self) -> bytes | None:
        """The content; None if there is none that can be read."""
        try:
            return read(self._path)
        except WatchlistUnavailable:
            return None

    def write(self, content: bytes) -> None:
        """Replace the content. Raises `OSError`."""
        make_directory(self._path.parent)
        fresh = self._path.with_suffix(".new")
        make_file(fresh)
        fresh.write_bytes(content)
        fresh.replace(self._path)
