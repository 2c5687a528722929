"""An archive in a directory: its files have the keys that the objects have in the bucket."""

from __future__ import annotations

import fcntl
import hashlib
import os
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
        with _errors(folder):
            return sorted(each.name for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []

    def objects(self, prefix: str) -> Iterator[ArchiveObject]:
        """See `ports.Archive`."""
        folder = self._directory / prefix.rpartition("/")[0]
        with _errors(folder):
            files = sorted(Path(where, name) for where, _, names in _walk(folder) for name in names)
        for file in files:
            key = file.relative_to(self._directory).as_posix()
            if not (key.startswith(prefix) and file.is_file()):
                continue
            with _errors(file):
                found = file.stat()
            written_at = datetime.fromtimestamp(found.st_mtime, UTC)
            yield ArchiveObject(key, found.st_size, str(found.st_mtime_ns), written_at)

    def get(self, key: str) -> bytes | None:
        """See `ports.Archive`."""
        with _errors(self._directory / key):
            try:
                return (self._directory / key).read_bytes()
            except FileNotFoundError:
                return None

    def get_tagged(self, key: str) -> tuple[bytes, str] | None:
        """See `ports.Archive`."""
        body = self.get(key)
        return None if body is None else (body, hashlib.sha256(body).hexdigest())

    def put(self, key: str, body: bytes, *, replaces: str | None) -> None:
        """See `ports.Archive`."""
        file = self._directory / key
        with _errors(file), self._locked(file):
            found = self.get_tagged(key)
            if (None if found is None else found[1]) != replaces:
                raise Conflict(f"{key} was changed by another program")
            made = file.with_name(f".{file.name}.new")
            made.write_bytes(body)
            made.replace(file)

    def delete(self, keys: Iterable[str]) -> None:
        """See `ports.Archive`."""
        for key in keys:
            with _errors(self._directory / key):
                (self._directory / key).unlink(missing_ok=True)

    @contextmanager
    def _locked(self, file: Path) -> Iterator[None]:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.with_name(f".{file.name}.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """The folders below a folder, none if it does not exist. Raises `OSError` for one that cannot be read."""

    def fail(error: OSError) -> None:
        raise error

    return os.walk(folder, onerror=fail) if folder.is_dir() else iter(())


@contextmanager
def _errors(file: Path) -> Iterator[None]:
    """Raise an error of the file system as one of this package, with the file."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{error.filename or file}: {error.strerror or error}") from error
