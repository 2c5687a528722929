"""The journal: accepted rows until Kinesis acknowledges them, and the history of each symbol, in one SQLite file.

A row and its entries of the accepted log are committed in one transaction. The rows of a lane are also the log of its
histories: acknowledged rows stay until the lane has `LOG_BYTES` of them. Then one transaction writes all histories of
the lane and deletes these rows. Whoever opens the journal reads the written histories and adds the rows that came after
them. So a commit costs what it adds, and not what is known of each symbol.

In WAL mode with `synchronous=NORMAL`, a commit writes and does not sync. So a crash of the process loses nothing. A
power cut loses what was committed since the last `sync`, which the daemon calls every `PRODUCER_JOURNAL_SYNC_SECONDS`.
Neither corrupts the file.
"""

from __future__ import annotations

import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog

from producer_service.deduplication import SymbolHistory, remember
from producer_service.errors import JournalDamaged, JournalError, JournalUnavailable, may_pass
from producer_service.packing import Row
from producer_service.private_files import make_directory, make_file
from quotes import Quote, content_of, decode

APPLICATION_ID = 0x73746B73
"""`stks` in the file's header. A file with another id belongs to another program, and is not overwritten."""
VERSION = 3
"""Version 2 wrote the histories with each row. It is read and becomes version 3."""
LOG_BYTES = 2**18
"""How many bytes of acknowledged rows a lane keeps. With more, the disk holds more and a start takes longer."""
FILE = "journal.sqlite3"

log = structlog.get_logger(__name__)

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(dict[str, SymbolHistory])

# The pragmas application_id and user_version do not accept parameters.
_LOG_TABLE = "CREATE TABLE IF NOT EXISTS log_entries (id INTEGER PRIMARY KEY AUTOINCREMENT, entries BLOB NOT NULL)"
"""Entries of the accepted log until they are in its file. Journals of earlier versions get this table when opened."""
_SCHEMA = f"""
CREATE TABLE lanes (count INTEGER NOT NULL);
CREATE TABLE rows (
    id INTEGER PRIMARY KEY,
    lane INTEGER NOT NULL,
    lines BLOB NOT NULL,
    quotes INTEGER NOT NULL,
    accepted_at REAL NOT NULL
);
CREATE TABLE restored (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE histories (lane INTEGER PRIMARY KEY, packed BLOB NOT NULL);
PRAGMA application_id = {APPLICATION_ID};
"""
_VERSION_3 = f"""
ALTER TABLE histories ADD COLUMN last_row INTEGER NOT NULL DEFAULT 0;
UPDATE histories SET last_row = (SELECT coalesce(max(id), 0) FROM rows);
CREATE TABLE acknowledged (lane INTEGER PRIMARY KEY, last_row INTEGER NOT NULL);
PRAGMA user_version = {VERSION};
"""  # noqa: S608  (a constant)
"""`last_row` is the last row that the histories of a lane include, or that Kinesis has acknowledged."""
_LAST_ROW = """
SELECT max(id) FROM (SELECT id FROM rows UNION SELECT last_row FROM histories UNION SELECT last_row FROM acknowledged)
"""


class Journal:
    """The journal of one producer. Not thread-safe: the outbox's lock guards it.

    Without a directory it works the same in memory, until the process ends. A file that is damaged, or belongs to
    another program, is renamed and never deleted; that is logged, and a new file is created. Raises `JournalError` if
    the file has another version or another number of lanes, or if another process uses it.
    """

    def __init__(self, directory: Path | None, lanes: int) -> None:
        self.durable = directory is not None
        self._directory = directory
        self._exported = 0  # the last log entries that are in the accepted log
        self._acknowledged: defaultdict[int, _AcknowledgedRows] = defaultdict(_AcknowledgedRows)
        self._path = "in memory" if directory is None else str(directory / FILE)
        try:
            self._db = self._opened(lanes)
        except _UnusableFile as error:
            kept_as = self._set_aside()
            log.warning(
                "journal_set_aside",
                reason=str(error),
                kept=kept_as,
                action="a new journal is created; keep the old file, it may hold undelivered quotes",
            )
            self._db = self._opened(lanes)
        with _reported_errors(self._path):
            self._last_row: int = self._db.execute(_LAST_ROW).fetchone()[0] or 0
            found = self._db.execute(
                "SELECT lane, id, length(lines) FROM rows JOIN acknowledged USING (lane) WHERE id <= last_row"
            )
            for lane, row_id, size in found:
                self._acknowledged[lane].add(row_id, size)

    def rows(self) -> list[Row]:
        """The rows that are not acknowledged, oldest first."""
        with _reported_errors(self._path):
            found = self._db.execute(
                "SELECT id, lane, lines, quotes, accepted_at FROM rows LEFT JOIN acknowledged USING (lane) "
                "WHERE id > coalesce(last_row, 0) ORDER BY id"
            )
            return [Row(*row) for row in found]

    def histories(self) -> dict[int, dict[str, SymbolHistory]]:
        """The histories of each lane's symbols."""
        with _reported_errors(self._path):
            found = {
                lane: _DECODER.decode(packed) for lane, packed in self._db.execute("SELECT lane, packed FROM histories")
            }
            later = self._db.execute(
                "SELECT lane, lines FROM rows LEFT JOIN histories USING (lane) "
                "WHERE id > coalesce(last_row, 0) ORDER BY id"
            )
            for lane, lines in later:
                of_lane = found.setdefault(lane, {})
                for good in decode(lines).good:
                    if isinstance(good.line, Quote):
                        remember(of_lane, good.line, content_of(good.content))
            return found

    def append(
        self,
        rows: Iterable[Row],
        histories: Mapping[int, Mapping[str, SymbolHistory]],
        *,
        restored: str | None = None,
        log_entries: bytes = b"",
    ) -> list[Row]:
        """Commit rows in one transaction. Returns the rows with their new ids.

        `restored` is the key of the undelivered state that the rows come from. The journal remembers it. `histories`
        holds all histories of the lanes in which more has changed than these rows say. `log_entries` are kept until
        `export` has handed them over.
        """
        stored = [
            Row(number, row.lane, row.lines, row.quotes, row.accepted_at, row.available_at)
            for number, row in enumerate(rows, start=self._last_row + 1)
        ]
        last_row = self._last_row + len(stored)
        with _reported_errors(self._path), self._transaction():
            if restored is not None:
                self._db.execute("INSERT INTO restored VALUES (?)", (restored,))
            self._db.executemany(
                "INSERT INTO rows VALUES (?, ?, ?, ?, ?)",
                [(row.id, row.lane, row.lines, row.quotes, row.accepted_at) for row in stored],
            )
            for lane, of_lane in histories.items():
                self._write_histories(lane, of_lane, last_row)
            if log_entries:
                self._db.execute("DELETE FROM log_entries WHERE id <= ?", (self._exported,))
                self._db.execute("INSERT INTO log_entries (entries) VALUES (?)", (log_entries,))
        self._last_row = last_row
        return stored

    def export(self, write: Callable[[bytes], None]) -> None:
        """Hand every log entry that was committed and not yet handed over to `write`, in one call, in their order."""
        with _reported_errors(self._path):
            waiting = self._db.execute("SELECT id, entries FROM log_entries WHERE id > ?", (self._exported,)).fetchall()
        if waiting:
            write(b"".join(entries for _, entries in waiting))
            self._exported = waiting[-1][0]

    def has_restored(self, key: str) -> bool:
        """Whether the undelivered state of a key was added to this journal at any time."""
        with _reported_errors(self._path):
            return self._db.execute("SELECT 1 FROM restored WHERE key = ?", (key,)).fetchone() is not None

    def remove(self, rows: Iterable[Row], histories_of: Callable[[int], Mapping[str, SymbolHistory]]) -> None:
        """Remove rows in one transaction: the first of the rows of their lanes, in their order.

        `histories_of` returns all histories of a lane, up to the last row that was committed.
        """
        removed: defaultdict[int, list[Row]] = defaultdict(list)
        for row in rows:
            removed[row.lane].append(row)
        with _reported_errors(self._path), self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO acknowledged VALUES (?, ?)",
                [(lane, of_lane[-1].id) for lane, of_lane in removed.items()],
            )
            written = [lane for lane in removed if self._acknowledged[lane].size > LOG_BYTES]
            for lane in written:
                self._write_histories(lane, histories_of(lane), self._last_row)
                self._db.executemany("DELETE FROM rows WHERE id = ?", [(row,) for row in self._acknowledged[lane].ids])
        for lane in written:
            del self._acknowledged[lane]
        for lane, of_lane in removed.items():
            for row in of_lane:
                self._acknowledged[lane].add(row.id, len(row.lines))

    def _write_histories(self, lane: int, histories: Mapping[str, SymbolHistory], last_row: int) -> None:
        packed = _ENCODER.encode({symbol: history.digested for symbol, history in histories.items()})
        self._db.execute("INSERT OR REPLACE INTO histories VALUES (?, ?, ?)", (lane, packed, last_row))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def size(self) -> int:
        """The bytes on disk, including the write-ahead log; 0 in memory."""
        return sum(path.stat().st_size for path in self._files() if path.exists())

    def sync(self) -> None:
        """Sync everything that was committed up to now to disk."""
        for path in self._files():
            if path.exists():
                with path.open("rb") as file:
                    os.fsync(file.fileno())

    def _files(self) -> list[Path]:
        if self._directory is None:
            return []
        return [self._directory / (FILE + suffix) for suffix in ("", "-wal")]

    def _set_aside(self) -> str:
        """Rename a file that cannot be used. Returns its new name."""
        assert self._directory is not None  # noqa: S101  (a journal in memory is new)
        number = 1
        while (target := self._directory / f"{FILE}.set-aside-{number}").exists():
            number += 1
        for path in self._files():
            if path.exists():
                path.rename(f"{target}{path.name.removeprefix(FILE)}")
        return str(target)

    def _opened(self, lanes: int) -> sqlite3.Connection:
        try:
            if self._directory is not None:
                make_directory(self._directory)
                make_file(self._directory / FILE)  # SQLite gives its other files the same mode
            path = ":memory:" if self._directory is None else self._path
            db = sqlite3.connect(path, timeout=1, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            unavailable = isinstance(error, OSError) and may_pass(error)
            kind = JournalUnavailable if unavailable else JournalError
            raise kind(f"journal {self._path}: cannot be opened: {error}") from error
        try:
            self._prepare(db, lanes)
        except sqlite3.OperationalError as error:  # locked, or the disk is full: the file itself may be fine
            db.close()
            raise _failure(self._path, error) from error
        except sqlite3.DatabaseError as error:
            db.close()
            raise _UnusableFile(str(error)) from error
        except Exception:
            db.close()
            raise
        return db

    def _prepare(self, db: sqlite3.Connection, lanes: int) -> None:
        # The lock is exclusive from the first read until the close, so a second process gets "database is locked".
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        (application_id,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        db.execute("COMMIT")
        if verdict != "ok":
            raise _UnusableFile(verdict)
        if tables and application_id != APPLICATION_ID:
            raise _UnusableFile("it belongs to another program")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        # Debian's SQLite overwrites deleted content with zeros, which makes a removal five times as expensive.
        db.execute("PRAGMA secure_delete = OFF")
        if not tables:
            insert = f"INSERT INTO lanes VALUES ({lanes:d});"  # noqa: S608  (%d)
            db.executescript(f"BEGIN; {_SCHEMA} {_VERSION_3} {_LOG_TABLE}; {insert} COMMIT;")
            return
        if version not in (2, VERSION):
            raise JournalError(
                f"journal {self._path}: has version {version}, and this program reads versions 2 and {VERSION}; "
                "drain it with the program that wrote it, or set another PRODUCER_JOURNAL_DIR"
            )
        (found,) = db.execute("SELECT count FROM lanes").fetchone()
        if found != lanes:
            raise JournalError(
                f"journal {self._path}: has {found} lanes, and PRODUCER_LANES is {lanes}; the number of lanes is fixed "
                f"for a stream, so set PRODUCER_LANES={found}, or another PRODUCER_JOURNAL_DIR for another stream"
            )
        db.execute(_LOG_TABLE)
        if version < VERSION:
            db.executescript(f"BEGIN; {_VERSION_3} COMMIT;")

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


class _AcknowledgedRows:
    """The acknowledged rows of a lane that the journal keeps."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.size = 0

    def add(self, row_id: int, size: int) -> None:
        self.ids.append(row_id)
        self.size += size


class _UnusableFile(Exception):
    """The file is not a journal that can be read. The message says why."""


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
def _reported_errors(path: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, msgspec.MsgspecError) as error:
        raise _failure(path, error) from error


def _failure(path: str, error: Exception) -> JournalError:
    """An error of SQLite, with what to do."""
    if "locked" in str(error):
        advice = "another process uses it; stop that producer, or set another PRODUCER_JOURNAL_DIR"
        return JournalUnavailable(f"journal {path}: {advice}")
    if "full" in str(error):
        return JournalUnavailable(f"journal {path}: {error}; free space on its disk")
    is_damaged = getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return (JournalDamaged if is_damaged else JournalError)(
        f"journal {path}: {error}; move the file aside to start without it, and keep it: it may hold undelivered quotes"
    )
