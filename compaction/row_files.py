"""Files of rows for other programs: Parquet, or CSV with exact decimals and times like 2026-11-23T14:30:00.000Z."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, BinaryIO, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from analytics.compacted_tables import BARS, QUOTES
from compaction.disk import ARROW
from compaction.parquet_files import groups
from quotes import price_text, to_iso

_TYPES = {column.name: ARROW[column.type] for table in (QUOTES, BARS) for column in table.columns}


def write(
    batches: Iterable[pa.RecordBatch], columns: Sequence[str], form: Literal["parquet", "csv"], file: BinaryIO
) -> int:
    """Write rows to a file, and return how many there were."""
    schema = pa.schema([(name, _TYPES[name]) for name in columns])
    filled = (batch for batch in batches if batch.num_rows)
    return _parquet(filled, schema, file) if form == "parquet" else _csv(filled, schema, file)


def _parquet(batches: Iterable[pa.RecordBatch], schema: pa.Schema, file: BinaryIO) -> int:
    rows = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in groups(pa.RecordBatch.from_arrays(_cast(batch, schema), schema=schema) for batch in batches):
            writer.write_table(group)
            rows += group.num_rows
    return rows


def _cast(batch: pa.RecordBatch, schema: pa.Schema) -> list[pa.Array]:
    return [batch[name].cast(schema.field(name).type) for name in schema.names]


def _csv(batches: Iterable[pa.RecordBatch], schema: pa.Schema, file: BinaryIO) -> int:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(schema.names)
    rows = 0
    for batch in batches:
        columns = [[_text(value) for value in batch[name].to_pylist()] for name in schema.names]
        writer.writerows(zip(*columns, strict=True))
        rows += batch.num_rows
    text.flush()
    text.detach()
    return rows


def _text(value: Any) -> Any:
    match value:
        case Decimal():
            return price_text(value)
        case datetime():
            return to_iso(value.replace(tzinfo=UTC))
    return value
