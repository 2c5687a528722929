"""The journal: accepted rows and the memory of each symbol, in one SQLite file, until Kinesis has acknowledged them.

A row and the memory it changes are one transaction. In WAL with `synchronous=NORMAL` a commit is a write and no fsync:
a crash of the process loses nothing, and a power cut what was committed since the last `sync`, which the daemon calls
every `PRODUCER_JOURNAL_SYNC_SECONDS`. Neither corrupts it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog

from producer_service.deduplication import SymbolHistory
from producer_service.errors import JournalError
from producer_service.packing import Row

APPLICATION_ID = 0x73746B73
"""`stks`, in the file's header: another program's file is set aside, not overwritten."""
VERSION = 2
FILE = "journal.sqlite3"

log = structlog.get_logger(__name__)

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(dict[str, SymbolHistory])

_SCHEMA = f"""
CREATE TABLE lanes (count INTEGER NOT NULL);
CREATE TABLE rows (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    lane INTEGER NOT NULL,
    lines BLOB NOT NULL,
    quotes INTEGER NOT NULL,
    accepted_at REAL NOT NULL
);
CREATE TABLE restored (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE histories (lane INTEGER PRIMARY KEY, packed BLOB NOT NULL);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""  # application_id and user_version take no parameters


class Journal:
    """The journal of one producer. Not thread-safe; the outbox holds a lock around it.

    `directory` None keeps it in memory: the same, until the process ends. A file that is damaged or another program's
    is set aside under another name, which is logged, and a new one begun. Raises `JournalError` if the file is of
    another version or another number of lanes, or in use by another process.
    """

    def __init__(self, directory: Path | None, lanes: int) -> None:
        self.durable = directory is not None
        self._directory = directory
        self._path = "in memory" if directory is None else str(directory / FILE)
        try:
            self._db = self._opened(lanes)
        except _Unusable as error:
            kept = self._set_aside()
            log.warning(
                "journal_set_aside", reason=str(error), kept=kept, action="a new one is begun; keep the old one"
            )
            self._db = self._opened(lanes)

    def rows(self) -> list[Row]:
        """The rows not yet acknowledged, oldest first."""
        with _reported(self._path):
            found = self._db.execute("SELECT id, lane, lines, quotes, accepted_at FROM rows ORDER BY id")
            return [Row(*row) for row in found]

    def histories(self) -> dict[int, dict[str, SymbolHistory]]:
        """What is remembered of each symbol, by lane."""
        with _reported(self._path):
            return {lane: _DECODER.decode(packed) for lane, packed in self._db.execute("SELECT * FROM histories")}

    def append(
        self,
        rows: Iterable[Row],
        histories: Mapping[int, Mapping[str, SymbolHistory]],
        *,
        restored: str | None = None,
    ) -> list[Row]:
        """Keep rows and whole lanes' histories, in one transaction. Returns the rows with the ids that they got.

        With the key of another producer's undelivered state as `restored`, it is remembered too.
        A lane's histories are one blob: a row for each symbol cost more than the quotes themselves.
        """
        kept: list[Row] = []
        with _reported(self._path), self._transaction():
            if restored is not None:
                self._db.execute("INSERT INTO restored VALUES (?)", (restored,))
            for row in rows:
                row_id = self._db.execute(
                    "INSERT INTO rows (lane, lines, quotes, accepted_at) VALUES (?, ?, ?, ?)",
                    (row.lane, row.lines, row.quotes, row.accepted_at),
                ).lastrowid
                kept.append(Row(row_id or 0, row.lane, row.lines, row.quotes, row.accepted_at, row.due_at))
            self._db.executemany(
                "INSERT OR REPLACE INTO histories VALUES (?, ?)",
                ((lane, _ENCODER.encode(of_lane)) for lane, of_lane in histories.items()),
            )
        return kept

    def has_restored(self, key: str) -> bool:
        """Whether an undelivered state is in the journal already, or was."""
        return self._db.execute("SELECT 1 FROM restored WHERE key = ?", (key,)).fetchone() is not None

    def remove(self, rows: Iterable[Row]) -> None:
        """Forget acknowledged rows, in one transaction."""
        with _reported(self._path), self._transaction():
            self._db.executemany("DELETE FROM rows WHERE id = ?", ((row.id,) for row in rows))

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    def size(self) -> int:
        """Its bytes on disk, write-ahead log and all; 0 in memory."""
        return sum(path.stat().st_size for path in self._files() if path.exists())

    def sync(self) -> None:
        """Have the disk hold what was committed up to now."""
        for path in self._files():
            if path.exists():
                with path.open("rb") as file:
                    os.fsync(file.fileno())

    def _files(self) -> list[Path]:
        if self._directory is None:
            return []
        return [self._directory / (FILE + suffix) for suffix in ("", "-wal")]

    def _set_aside(self) -> str:
        """Rename what cannot be used, so that nobody deletes or overwrites it. Returns its new name."""
        assert self._directory is not None  # noqa: S101  (a journal in memory is new)
        number = 1
        while (kept := self._directory / f"{FILE}.set-aside-{number}").exists():
            number += 1
        for path in self._files():
            if path.exists():
                path.rename(f"{kept}{path.name.removeprefix(FILE)}")
        return str(kept)

    def _opened(self, lanes: int) -> sqlite3.Connection:
        try:
            if self._directory is not None:
                self._directory.mkdir(parents=True, exist_ok=True)
            path = ":memory:" if self._directory is None else self._path
            db = sqlite3.connect(path, timeout=1, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"journal {self._path}: cannot be opened: {error}") from error
        try:
            self._prepare(db, lanes)
        except sqlite3.OperationalError as error:  # locked, or the disk is full: the file itself may be sound
            db.close()
            raise JournalError(_advice(self._path, error)) from error
        except sqlite3.DatabaseError as error:
            db.close()
            raise _Unusable(str(error)) from error
        except Exception:
            db.close()
            raise
        return db

    def _prepare(self, db: sqlite3.Connection, lanes: int) -> None:
        # Exclusive from the first read to the close: a second process on this file gets "database is locked".
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        (application_id,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        db.execute("COMMIT")
        if verdict != "ok":
            raise _Unusable(verdict)
        if tables and application_id != APPLICATION_ID:
            raise _Unusable("it is another program's")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        # Debian's SQLite overwrites what is deleted with zeros, which made a removal five times as expensive.
        db.execute("PRAGMA secure_delete = OFF")
        if not tables:
            db.executescript(f"BEGIN; {_SCHEMA} INSERT INTO lanes VALUES ({lanes:d}); COMMIT;")  # noqa: S608  (%d)
            return
        if version != VERSION:
            raise JournalError(
                f"journal {self._path}: is of version {version}, this program reads {VERSION}; "
                "drain it with the program that wrote it, or name another JOURNAL_DIR"
            )
        (found,) = db.execute("SELECT count FROM lanes").fetchone()
        if found != lanes:
            raise JournalError(
                f"journal {self._path}: holds {found} lanes and LANES says {lanes}; the number of lanes is fixed "
                f"for a stream, so set LANES to {found}, or name another JOURNAL_DIR for another stream"
            )

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


class _Unusable(Exception):
    """The file is no journal that can be read: why."""


class _Transaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        try:
            if failure is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:  # a full disk has ended it already
                self._db.execute("ROLLBACK")


@contextmanager
def _reported(path: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, msgspec.MsgspecError) as error:
        raise JournalError(_advice(path, error)) from error


def _advice(path: str, error: Exception) -> str:
    if "locked" in str(error):
        return f"journal {path}: another process uses it; stop that producer, or name another JOURNAL_DIR"
    return f"journal {path}: {error}; move the file away to start anew, and keep it: it may hold undelivered quotes"
