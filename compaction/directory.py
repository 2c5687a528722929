"""An archive in a directory: its files have the keys that the objects have in the bucket."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from compaction.errors import Conflict, Unavailable
from compaction.ports import ArchiveObject


class DirectoryArchive:
    """The archive in a directory. It implements `ports.Archive`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()

    @property
    def root(self) -> str:
        """See `ports.Archive`."""
        return str(self._directory)

    def folders(self, prefix: str) -> list[str]:
        """See `ports.Archive`."""
        folder = self._directory / prefix
        return sorted(each.name for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []

    def objects(self, prefix: str) -> Iterator[ArchiveObject]:
        """See `ports.Archive`."""
        folder = self._directory / prefix.rpartition("/")[0]
        for file in sorted(folder.rglob("*")):
            key = file.relative_to(self._directory).as_posix()
            if not (key.startswith(prefix) and file.is_file()):
                continue
            found = file.stat()
            written_at = datetime.fromtimestamp(found.st_mtime, UTC)
            yield ArchiveObject(key, found.st_size, str(found.st_mtime_ns), written_at)

    def get(self, key: str) -> bytes | None:
        """See `ports.Archive`."""
        try:
            return (self._directory / key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"{key} cannot be read: {error}") from error

    def get_tagged(self, key: str) -> tuple[bytes, str] | None:
        """See `ports.Archive`."""
        body = self.get(key)
        return None if body is None else (body, hashlib.sha256(body).hexdigest())

    def put(self, key: str, body: bytes, *, replaces: str | None) -> None:
        """See `ports.Archive`."""
        file = self._directory / key
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._locked(file):
            found = self.get_tagged(key)
            if (None if found is None else found[1]) != replaces:
                raise Conflict(f"{key} was changed by another program")
            made = file.with_name(f".{file.name}.new")
            made.write_bytes(body)
            made.replace(file)

    def delete(self, keys: Iterable[str]) -> None:
        """See `ports.Archive`."""
        for key in keys:
            (self._directory / key).unlink(missing_ok=True)

    @contextmanager
    def _locked(self, file: Path) -> Iterator[None]:
        with file.with_name(f".{file.name}.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
