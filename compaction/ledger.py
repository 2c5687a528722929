"""The table `archive_days`: what was read of each arrival day. It is small, so a commit replaces all of its rows."""

from __future__ import annotations

from datetime import date, datetime

from analytics.compacted_tables import LEDGER
from compaction import small_tables
from compaction.arrivals import Arrival
from compaction.counted import Counts
from compaction.iceberg import Tables
from compaction.small_tables import Row


def row(dt: date, fingerprint: str, counts: Counts, closed_to: date, now: datetime) -> Row:
    """The row of an arrival day."""
    return {
        "dt": dt.isoformat(),
        "fingerprint": fingerprint,
        **{name: getattr(counts, name) for name in counts.__struct_fields__},
        "closed_to": closed_to,
        "compacted_at": now.replace(tzinfo=None),
    }


def arrivals(tables: Tables) -> dict[date, Arrival]:
    """What the rows say, by arrival day. Without the table, they say nothing, and it is not made."""
    table = tables.existing(LEDGER)
    if table is None:
        return {}
    rows = (row for path in table.files().paths for batch in table.batches(path) for row in batch.to_pylist())
    found = (
        Arrival(
            dt=date.fromisoformat(row["dt"]),
            fingerprint=row["fingerprint"],
            closed_to=row["closed_to"],
            last_event_day=row["last_event_day"],
        )
        for row in rows
    )
    return {each.dt: each for each in found}


def put(tables: Tables, changed: list[Row]) -> None:
    """Put rows in the place of those of their arrival days. Raises `Conflict`.

    If two runs read a day at once, either row may stay. It then says what that run read, and has the fingerprint of it.
    """
    small_tables.commit(tables, LEDGER, lambda: changed)
