"""Brings the archive's quotes into order: by symbol, event time and revision, each identity once.

SQLite does it, in a temporary file of its own that goes with the process: a day of many symbols need not fit memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from operations.archive import Archived
from quotes import GoodLine, decode

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TABLE = """
CREATE TABLE quotes (symbol TEXT, event_time INTEGER, revision INTEGER, line BLOB,
                     PRIMARY KEY (symbol, event_time, revision)) WITHOUT ROWID
"""


class Collation:
    """Quotes in order. Close it, or use it in a `with` block."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute(_TABLE)
        self._database.execute("BEGIN")  # never committed: it is not meant to last

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def add(self, quotes: Iterable[Archived]) -> None:
        """Add quotes that arrived behind all before them: of two with one identity the last counts, as in the row."""
        self._insert("REPLACE", quotes)

    def add_earlier(self, quotes: Iterable[Archived]) -> None:
        """Add quotes that arrived before others that are here: what is here counts."""
        self._insert("IGNORE", quotes)

    def symbols(self, start: datetime, end: datetime) -> list[str]:
        """The symbols that have a quote between two times, the first included."""
        query = "SELECT DISTINCT symbol FROM quotes WHERE event_time >= ? AND event_time < ? ORDER BY symbol"
        return [symbol for (symbol,) in self._database.execute(query, (_milliseconds(start), _milliseconds(end)))]

    def quotes(self, symbol: str, start: datetime | None, end: datetime) -> list[GoodLine]:
        """A symbol's quotes between two times, the first included, in their order."""
        since = 0 if start is None else _milliseconds(start)
        query = (
            "SELECT line FROM quotes WHERE symbol = ? AND event_time >= ? AND event_time < ?"
            " ORDER BY event_time, revision"
        )
        rows = self._database.execute(query, (symbol, since, _milliseconds(end)))
        return [good for (line,) in rows for good in decode(line).good]

    def _insert(self, on_conflict: str, quotes: Iterable[Archived]) -> None:
        self._database.executemany(
            f"INSERT OR {on_conflict} INTO quotes VALUES (?, ?, ?, ?)",  # noqa: S608  (one of two words above)
            ((quote.symbol, _milliseconds(quote.event_time), quote.revision, quote.line) for quote in quotes),
        )


def _milliseconds(time: datetime) -> int:
    return int((time - _EPOCH).total_seconds() * 1000)
