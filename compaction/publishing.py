"""Writes `compacted/current.json`: which files are the tables at the moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from analytics import current
from analytics.compacted_tables import FOLDER, TABLES
from analytics.current import KEY, BarsRead, CompactedError, Current
from compaction.errors import Conflict, Damaged
from compaction.iceberg import Tables, is_below
from compaction.ports import Archive
from compaction.small_tables import ATTEMPTS
from quotes import to_iso, whole_milliseconds


def published(archive: Archive) -> Current | None:
    """What was published last. None before the first run. Raises `Damaged`, also if it is of another archive."""
    found = archive.get(KEY)
    if found is None:
        return None
    last = _decoded(found)
    for table in last.tables.values():
        if not is_below(table.metadata, archive.root):
            raise Damaged(
                f"{KEY} names tables at {table.metadata}, so the archive at {archive.root} was moved or copied. If it "
                f"has all of its raw-data/, delete its folder {FOLDER}/, and run `compact` again"
            )
    return last


def publish(
    archive: Archive,
    tables: Tables,
    compacted_to: Callable[[date | None], date],
    now: datetime,
    bars: BarsRead | None,
) -> date:
    """Write what the tables are now. Returns the first event day that is not closed. Raises `Conflict`.

    `compacted_to` computes it from the one before. `bars` is what this run has read of them, if it has read any. If two
    runs publish at once, the later one reads the tables after the earlier one has published them, so nothing goes back.
    """
    for attempt in range(ATTEMPTS):
        found = archive.get_tagged(KEY)
        before = None if found is None else _decoded(found[0])
        closed_to = compacted_to(None if before is None else before.compacted_to)
        written = Current(
            compacted_to=closed_to,
            written_at=to_iso(whole_milliseconds(now)),
            bars=before.bars if before is not None and bars is None else bars,
            tables={declared.name: tables.open(declared).summary() for declared in TABLES},
        )
        try:
            archive.put(KEY, current.encode(written), replaces=None if found is None else found[1])
        except Conflict:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return closed_to
    raise AssertionError("unreachable")


def _decoded(body: bytes) -> Current:
    try:
        return current.decode(body)
    except CompactedError as error:
        raise Damaged(str(error)) from error
