"""Sorts the archive's quotes and splits by symbol, event time and revision, and removes duplicates.

SQLite sorts them in a temporary file that disappears with the process, because the quotes of a day may not fit into
memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from operations.archive_reader import SPLIT_REVISION, ArchivedQuote
from quotes import GoodLine, decode

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TABLE = """
CREATE TABLE quotes (symbol TEXT, event_time INTEGER, revision INTEGER, line BLOB,
                     PRIMARY KEY (symbol, event_time, revision)) WITHOUT ROWID
"""


class QuoteSorter:
    """Quotes in sorted order, one for each symbol, event time and revision. Use it in a `with` block.

    A declared split comes before the quotes from its time on.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute(_TABLE)
        self._database.execute("BEGIN")  # it is never committed, because the file is temporary

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def add(self, quotes: Iterable[ArchivedQuote]) -> None:
        """Add quotes that arrived after all that were added before. They replace quotes with the same key.

        So the last arrival counts, as it does in the quotes table.
        """
        self._insert("REPLACE", quotes)

    def add_earlier(self, quotes: Iterable[ArchivedQuote]) -> None:
        """Add quotes that arrived before some that were added already. They replace none of them."""
        self._insert("IGNORE", quotes)

    def symbols(self, start: datetime, end: datetime) -> list[str]:
        """The symbols that have a quote from `start` up to but not including `end`, sorted."""
        query = (
            "SELECT DISTINCT symbol FROM quotes WHERE event_time >= ? AND event_time < ? AND revision > ?"
            " ORDER BY symbol"
        )
        times = _milliseconds(start), _milliseconds(end)
        return [symbol for (symbol,) in self._database.execute(query, (*times, SPLIT_REVISION))]

    def quotes(self, symbol: str, start: datetime | None, end: datetime) -> list[GoodLine]:
        """The sorted quotes and splits of a symbol from `start` (None: the first) up to but not including `end`."""
        since = 0 if start is None else _milliseconds(start)
        query = (
            "SELECT line FROM quotes WHERE symbol = ? AND event_time >= ? AND event_time < ?"
            " ORDER BY event_time, revision"
        )
        rows = self._database.execute(query, (symbol, since, _milliseconds(end)))
        return [good for (line,) in rows for good in decode(line).good]

    def _insert(self, on_conflict: str, quotes: Iterable[ArchivedQuote]) -> None:
        self._database.executemany(
            f"INSERT OR {on_conflict} INTO quotes VALUES (?, ?, ?, ?)",  # noqa: S608  (one of the two words above)
            ((quote.symbol, _milliseconds(quote.event_time), quote.revision, quote.line) for quote in quotes),
        )


def _milliseconds(time: datetime) -> int:
    return int((time - _EPOCH).total_seconds() * 1000)
