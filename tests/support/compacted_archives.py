"""Compacts an archive of a test by the views over its raw objects, so that results can be compared."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analytics import catalog, compacted_tables, current
from analytics.compacted_tables import ACTIONS, LEDGER, QUOTES, CompactedTable
from analytics.current import KEY, Current, File, TableFiles
from analytics.duckdb_engine import Engine
from compaction.disk import ARROW
from quotes import Line, encode_line, to_iso, whole_milliseconds

BUCKET = "s3://archive"

_KNOWN = catalog.read()
_STATEMENTS = {
    **{view.name: f"SELECT * FROM {view.name}" for view in _KNOWN.views},
    **{query.name: query.select for query in _KNOWN.queries},
}

Rows = Iterable[Mapping[str, Any]]
Arrived = tuple[datetime, Line | bytes]
"""A line, or the bytes of one, and when it arrives."""


def write(archive: Path, lines: Iterable[Arrived], random: Random) -> None:
    """Write lines to objects of the hours in which they arrive, whose names do not follow the order of arrival."""
    objects: dict[str, list[bytes]] = {}
    for at, line in lines:
        name = f"shardId-000000000000-{random.choice(['9-10', '10-9'])}"
        key = f"raw-data/dt={at:%Y-%m-%d}/hour={at:%H}/{name}.jsonl.gz"
        objects.setdefault(key, []).append(line if isinstance(line, bytes) else encode_line(line))
    for folder in {(archive / key).parent for key in objects}:
        folder.mkdir(parents=True)
    for key, of in objects.items():
        (archive / key).write_bytes(gzip.compress(b"".join(of), 1))


def results(archive: Path) -> Mapping[str, list[Any]]:
    """The rows of every view and saved query over an archive, sorted."""
    with closing(Engine(_KNOWN, archive)) as engine:
        return {name: sorted(engine.run(sql).rows, key=repr) for name, sql in _STATEMENTS.items()}


def compact(archive: Path, compacted_to: date, **rows: Rows) -> None:
    """Write the compacted tables of an archive, with all events before a day. `rows` are those of further tables."""
    if (archive / "raw-data").is_dir():
        rows = {**_of_the_archive(archive, compacted_to), **rows}
    tables = {table.name: _written(archive, table, rows.get(table.name, ())) for table in compacted_tables.TABLES}
    written = Current(
        compacted_to=compacted_to, written_at=to_iso(whole_milliseconds(datetime.now(UTC))), tables=tables
    )
    (archive / KEY).write_bytes(current.encode(written))


def _of_the_archive(archive: Path, compacted_to: date) -> dict[str, Rows]:
    actions = next(view.select for view in _KNOWN.views if view.name == "corporate_actions")
    closed = actions.replace("FROM lines\n", f"FROM (SELECT * FROM lines WHERE dt < '{compacted_to}')\n")
    quotes = f"SELECT *, CAST(event_time AS date) AS day FROM quotes WHERE event_time < DATE '{compacted_to}'"
    # The job reads objects of the open day too, for late quotes, so its ledger has a row of that day.
    days = "SELECT *, 0 AS bytes, '' AS fingerprint FROM arrival_days"
    with closing(Engine(_KNOWN, archive)) as engine:
        found = {QUOTES.name: quotes, ACTIONS.name: closed, LEDGER.name: days}
        results = {name: engine.run(select) for name, select in found.items()}
    return {name: [dict(zip(of.columns, row, strict=True)) for row in of.rows] for name, of in results.items()}


def _written(archive: Path, table: CompactedTable, rows: Rows) -> TableFiles:
    """Write a table as two files, and return what `current.json` says of it."""
    rows = sorted(rows, key=lambda row: [row[name] for name in table.key])
    schema = pa.schema([(column.name, ARROW[column.type]) for column in table.columns])
    files = []
    for number, half in enumerate((rows[::2], rows[1::2])):
        key = f"compacted/{table.name}/data/{number}.parquet"
        (archive / key).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist([dict(row) for row in half], schema), archive / key)
        files.append(File(f"{BUCKET}/{key}", len(half), (archive / key).stat().st_size))
    return TableFiles(f"{BUCKET}/compacted/{table.name}/metadata/1.json", tuple(files))
