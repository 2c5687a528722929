"""The journal: accepted rows and the memory of each symbol, in one SQLite file, until Kinesis has acknowledged them.

A row and the memory it changes are one transaction. WAL with `synchronous=NORMAL`: a crash of the process loses
nothing; a crash of the host may lose what was committed since the last checkpoint, and never corrupts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from producer_service.acceptance import Memory
from producer_service.errors import JournalError
from producer_service.packing import Row

APPLICATION_ID = 0x73746B73
"""`stks`, in the file's header: another program's file is refused, not overwritten."""
VERSION = 1
FILE = "journal.sqlite3"

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(dict[str, Memory])

_SCHEMA = f"""
CREATE TABLE lanes (count INTEGER NOT NULL);
CREATE TABLE rows (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    lane INTEGER NOT NULL,
    lines BLOB NOT NULL,
    quotes INTEGER NOT NULL,
    accepted_at REAL NOT NULL
);
CREATE TABLE adopted (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE memories (lane INTEGER PRIMARY KEY, packed BLOB NOT NULL);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""  # application_id and user_version take no parameters


class Journal:
    """The journal of one producer. Not thread-safe; the outbox holds a lock around it.

    `directory` None keeps it in memory: the same, until the process ends. Raises `JournalError` if the file is another
    program's, another version's, of another number of lanes, damaged, or in use by another process.
    """

    def __init__(self, directory: Path | None, lanes: int) -> None:
        self.durable = directory is not None
        self._path = "in memory" if directory is None else str(directory / FILE)
        try:
            if directory is not None:
                directory.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                ":memory:" if directory is None else self._path,
                timeout=1,
                isolation_level=None,
                check_same_thread=False,
            )
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"journal {self._path}: cannot be opened: {error}") from error
        try:
            self._open(lanes)
        except sqlite3.Error as error:
            self._db.close()
            raise JournalError(_advice(self._path, error)) from error
        except JournalError:
            self._db.close()
            raise

    def rows(self) -> list[Row]:
        """The rows not yet acknowledged, oldest first."""
        with _reported(self._path):
            found = self._db.execute("SELECT id, lane, lines, quotes, accepted_at FROM rows ORDER BY id")
            return [Row(*row) for row in found]

    def memories(self) -> dict[int, dict[str, Memory]]:
        """What is remembered of each symbol, by lane."""
        with _reported(self._path):
            return {lane: _DECODER.decode(packed) for lane, packed in self._db.execute("SELECT * FROM memories")}

    def append(
        self,
        rows: Iterable[tuple[int, bytes, int, float]],
        memories: Mapping[int, Mapping[str, Memory]],
        *,
        adopted: str | None = None,
    ) -> list[Row]:
        """Keep rows (lane, lines, count of quotes, accepted at) and whole lanes' memories, in one transaction.

        With the key of another producer's leftover as `adopted`, it is remembered too. Returns the rows as kept.
        A lane's memories are one blob: a row for each symbol cost more than the quotes themselves.
        """
        kept: list[Row] = []
        with _reported(self._path), self._transaction():
            if adopted is not None:
                self._db.execute("INSERT INTO adopted VALUES (?)", (adopted,))
            for row in rows:
                row_id = self._db.execute(
                    "INSERT INTO rows (lane, lines, quotes, accepted_at) VALUES (?, ?, ?, ?)", row
                ).lastrowid
                kept.append(Row(row_id or 0, *row))
            self._db.executemany(
                "INSERT OR REPLACE INTO memories VALUES (?, ?)",
                ((lane, _ENCODER.encode(of_lane)) for lane, of_lane in memories.items()),
            )
        return kept

    def has_adopted(self, key: str) -> bool:
        """Whether a leftover is in the journal already, or was."""
        return self._db.execute("SELECT 1 FROM adopted WHERE key = ?", (key,)).fetchone() is not None

    def remove(self, rows: Iterable[Row]) -> None:
        """Forget acknowledged rows, in one transaction."""
        with _reported(self._path), self._transaction():
            self._db.executemany("DELETE FROM rows WHERE id = ?", ((row.id,) for row in rows))

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    def _open(self, lanes: int) -> None:
        # Exclusive from the first read to the close: a second process on this file gets "database is locked".
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("BEGIN EXCLUSIVE")
        (application_id,) = self._db.execute("PRAGMA application_id").fetchone()
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        self._db.execute("COMMIT")
        if not tables:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(f"BEGIN; {_SCHEMA} INSERT INTO lanes VALUES ({lanes:d}); COMMIT;")  # noqa: S608  (%d)
        elif application_id != APPLICATION_ID:
            raise JournalError(f"journal {self._path}: is another program's file; name another JOURNAL_DIR")
        elif version != VERSION:
            raise JournalError(
                f"journal {self._path}: is of version {version}, this program reads {VERSION}; "
                "drain it with the program that wrote it, or name another JOURNAL_DIR"
            )
        else:
            self._db.execute("PRAGMA journal_mode = WAL")
            (found,) = self._db.execute("SELECT count FROM lanes").fetchone()
            if found != lanes:
                raise JournalError(
                    f"journal {self._path}: holds {found} lanes and LANES says {lanes}; the number of lanes is fixed "
                    f"for a stream, so set LANES to {found}, or name another JOURNAL_DIR for another stream"
                )
        self._db.execute("PRAGMA synchronous = NORMAL")

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


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
