"""Compacts an archive of a test by the views over its raw objects, so that results can be compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analytics import catalog, compacted_tables
from analytics.catalog import Column
from analytics.compacted_files import CURRENT
from analytics.compacted_tables import ACTIONS, DAYS, QUOTES, CompactedTable
from analytics.duckdb_engine import Engine

BUCKET = "s3://archive"
_ARROW = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "int": pa.int32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "decimal(38,26)": pa.decimal128(38, 26),
}

Rows = Iterable[Mapping[str, Any]]


def compact(archive: Path, compacted_to: date, **rows: Rows) -> None:
    """Write the compacted tables of an archive, with all events before a day. `rows` are those of further tables."""
    if (archive / "raw-data").is_dir():
        rows = {**_of_the_archive(archive, compacted_to), **rows}
    tables = {table.name: _written(archive, table, rows.get(table.name, ())) for table in compacted_tables.TABLES}
    current = {"v": 1, "compacted_to": str(compacted_to), "written_at": f"{datetime.now(UTC)}", "tables": tables}
    (archive / CURRENT).write_text(json.dumps(current))


def _of_the_archive(archive: Path, compacted_to: date) -> dict[str, Rows]:
    known = catalog.read()
    actions = next(view.select for view in known.views if view.name == "corporate_actions")
    closed = actions.replace("FROM lines\n", f"FROM (SELECT * FROM lines WHERE dt < '{compacted_to}')\n")
    quotes = f"SELECT *, CAST(event_time AS date) AS day FROM quotes WHERE event_time < DATE '{compacted_to}'"
    # The job reads objects of the open day too, for late quotes, so its ledger has a row of that day.
    days = "SELECT *, 0 AS bytes, '' AS fingerprint FROM arrival_days"
    with closing(Engine(known, archive)) as engine:
        found = {QUOTES.name: quotes, ACTIONS.name: closed, DAYS.name: days}
        results = {name: engine.run(select) for name, select in found.items()}
    return {name: [dict(zip(of.columns, row, strict=True)) for row in of.rows] for name, of in results.items()}


def _written(archive: Path, table: CompactedTable, rows: Rows) -> dict[str, Any]:
    """Write a table as two files, and return its part of `current.json`."""
    rows = sorted(rows, key=lambda row: [row[name] for name in table.sorted_by])
    schema = pa.schema([(column.name, _arrow(column)) for column in table.columns])
    files = []
    for number, half in enumerate((rows[::2], rows[1::2])):
        key = f"compacted/{table.name}/data/{number}.parquet"
        (archive / key).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist([dict(row) for row in half], schema), archive / key)
        files.append({"path": f"{BUCKET}/{key}", "rows": len(half)})
    return {"metadata": f"{BUCKET}/compacted/{table.name}/metadata/1.json", "files": files}


def _arrow(column: Column) -> pa.DataType:
    return _ARROW[column.type]
