"""The rows of some symbols and days: closed days come from the tables, and later ones from their sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from analytics.compacted_tables import BARS, QUOTES
from compaction.arrivals import ONE_DAY, RAW, arrival_days, objects_of
from compaction.bar_months import bars_table
from compaction.disk import once
from compaction.iceberg import OpenTable, Tables
from compaction.ports import Archive, History
from compaction.publishing import published
from compaction.reading import ArrivalReader
from compaction.staging import IDENTITY, VALUES, Staging

QUOTE_COLUMNS = VALUES
BAR_COLUMNS = BARS.names
_BARS_AT_ONCE = 10_000


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows to export. The days are of the event or of the start of the bar, in UTC."""

    symbols: Sequence[str] | None
    """None means all."""
    first: date
    last: date

    def of(self, rows: pa.RecordBatch, time_column: str) -> pa.RecordBatch:
        """Those of some rows that are wanted."""
        start, end = _midnight(self.first), _midnight(self.last + ONE_DAY)
        mask = pc.and_(pc.greater_equal(rows[time_column], start), pc.less(rows[time_column], end))
        if self.symbols is not None:
            mask = pc.and_(mask, pc.is_in(rows["symbol"], pa.array(self.symbols, rows["symbol"].type)))
        return rows.filter(mask)


class Exporter:
    """Reads an archive and its tables."""

    def __init__(self, archive: Archive, tables: Tables, history: History | None, scratch: Path | None = None) -> None:
        self._archive, self._tables, self._history, self._scratch = archive, tables, history, scratch
        found = published(archive)
        if found is not None:
            tables.recover(found.tables)
        self.compacted_to = None if found is None else found.compacted_to
        """Quotes of earlier days come from the tables."""
        self.bars_to = None if found is None or found.bars is None else found.bars.to
        """Bars of earlier days come from the tables."""

    def quotes(self, wanted: Wanted) -> Iterator[pa.RecordBatch]:
        """Quotes by day, then by symbol and time, each once."""
        if self.compacted_to is not None:
            closed = _until(wanted, self.compacted_to)
            yield from self._stored(self._tables.open(QUOTES), closed, "event_time", QUOTE_COLUMNS)
        if self.compacted_to is None or wanted.last >= self.compacted_to:
            yield from self._raw_quotes(_since(wanted, self.compacted_to))

    def bars(self, wanted: Wanted, resolution: str) -> Iterator[pa.RecordBatch]:
        """Bars of closed days by month, symbol and time, and then those of the table of bars, if it is known."""
        if self.bars_to is not None:
            closed = _until(wanted, self.bars_to)
            for batch in self._stored(self._tables.open(BARS), closed, "start", BAR_COLUMNS):
                yield batch.filter(pc.equal(batch["resolution"], resolution))
        if self._history is None:
            return
        rest = _since(wanted, self.bars_to)
        start, end = (datetime.combine(day, time(), UTC) for day in (rest.first, rest.last + ONE_DAY))
        if start < end:
            for symbol in sorted(self._history.symbols() if rest.symbols is None else rest.symbols):
                rows = iter(self._history.bars(symbol, resolution, start, end))
                while some := list(islice(rows, _BARS_AT_ONCE)):
                    yield from bars_table(some).to_batches()

    def _stored(
        self, table: OpenTable, wanted: Wanted, time_column: str, columns: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """The wanted rows of a table. Only the files of their days are read."""
        files = [(table.partition_of(entry), entry.file_path) for entry in table.files().entries]
        month = timedelta(days=31) if table.declared is BARS else timedelta(0)
        for day, path in sorted((day or date.min, path) for day, path in files):
            if day <= wanted.last and day + month >= wanted.first:
                for batch in table.batches(path, columns):
                    yield wanted.of(batch, time_column)

    def _raw_quotes(self, wanted: Wanted) -> Iterator[pa.RecordBatch]:
        """Quotes of days that are not closed, from the raw archive."""
        if wanted.first > wanted.last:
            return
        with Staging(self._scratch) as staging:
            reader = ArrivalReader(self._archive, staging)
            for day in arrival_days(self._archive.folders(RAW)):
                if day >= wanted.first - ONE_DAY:
                    reader.read(objects_of(self._archive, day), lambda _: None)
            for day in staging.days():
                if wanted.first <= day <= wanted.last:
                    for part in once(staging.sorted(day, ()), IDENTITY):
                        yield wanted.of(part.kept.select(QUOTE_COLUMNS), "event_time")


def _until(wanted: Wanted, day: date) -> Wanted:
    return Wanted(symbols=wanted.symbols, first=wanted.first, last=min(wanted.last, day - ONE_DAY))


def _since(wanted: Wanted, day: date | None) -> Wanted:
    return Wanted(symbols=wanted.symbols, first=max(wanted.first, day or date.min), last=wanted.last)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())
