"""The sessions of a reading, and those that it withdraws: the calendar of a symbol may change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from analytics.compacted_tables import SESSIONS
from compaction.iceberg import Tables
from compaction.small_tables import Row


def with_withdrawn(tables: Tables, read: Iterable[Mapping[str, Any]], before: datetime) -> Iterator[Row]:
    """The rows that were read, and each stored one that is not among them though its time was read.

    `read` has all sessions of its symbols from the first one of each up to those that ended before a time. A withdrawn
    row has no expected minute, and the view `sessions` leaves it out.
    """
    rows = [dict(row) for row in read]
    yield from rows
    if not rows:
        return
    first: dict[str, date] = {}
    for row in rows:
        first[row["symbol"]] = min(row["day"], first.get(row["symbol"], row["day"]))
    keys = {(row["symbol"], row["opens"]) for row in rows}
    earliest, end = pa.scalar(min(first.values())), pa.scalar(before.replace(tzinfo=None), pa.timestamp("us"))
    table = tables.open(SESSIONS)
    for entry in table.files().entries:
        if (table.partition_of(entry) or date.min) < min(first.values()).replace(day=1):
            continue
        for batch in table.batches(entry.file_path):
            was_read = pc.and_(pc.greater_equal(batch["day"], earliest), pc.less_equal(batch["closes"], end))
            for row in batch.filter(was_read).to_pylist():
                if row["day"] >= first.get(row["symbol"], date.max) and (row["symbol"], row["opens"]) not in keys:
                    yield {**row, "closes": row["opens"], "expected": 0, "without_trades": 0}
