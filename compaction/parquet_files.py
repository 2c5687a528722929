"""Writes the Parquet files of a table in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from compaction.iceberg import OpenTable

ROWS_OF_A_GROUP = 250_000
"""The rows of a row group. They are in memory together until it is written."""
ROWS_OF_A_FILE = 16 * ROWS_OF_A_GROUP
"""The rows of a file. Athena reads several files at once."""


def write(table: OpenTable, batches: Iterable[pa.RecordBatch], partition: date | None, written: list[str]) -> None:
    """Write rows, which have the columns of the table in its order, to new files, and add their addresses to `written`.

    Each file has a new name, and nobody reads it before a commit names it. The names are in the order of the rows.
    """
    waiting_groups = groups(batches)
    folder = "" if partition is None else f"day={partition.isoformat()}/"
    first = next(waiting_groups, None)
    while first is not None:
        path = f"{table.location}/data/{folder}{len(written):05}-{uuid4().hex}.parquet"
        written.append(path)
        with (
            table.output(path) as stream,
            pq.ParquetWriter(
                stream, table.schema, compression="zstd", store_schema=False, dictionary_pagesize_limit=2**22
            ) as writer,
        ):
            rows = 0
            while first is not None and rows < ROWS_OF_A_FILE:
                writer.write_table(first, row_group_size=ROWS_OF_A_GROUP)
                rows += first.num_rows
                first = None  # so that two row groups are not in memory together
                first = next(waiting_groups, None)


def groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The rows of each row group."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if batch.num_rows:
            waiting.append(batch)
            rows += batch.num_rows
        if rows >= ROWS_OF_A_GROUP:
            group = pa.Table.from_batches(waiting)
            waiting, rows = [], 0
            yield group
            del group
            pa.default_memory_pool().release_unused()  # else it keeps what the last row groups took
    if waiting:
        yield pa.Table.from_batches(waiting)
