"""The table `archive_days`: what was read of each arrival day. It is small, so a commit replaces all of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from analytics.compacted_tables import LEDGER
from compaction import small_tables
from compaction.arrivals import Arrival
from compaction.iceberg import DataFiles, OpenTable, Tables
from compaction.reading import Counts
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


def with_counts_of(new: Row, known: Row | None) -> tuple[Row, bool]:
    """The row of a day that was read again, and whether it keeps the counts of before.

    It does if the day has fewer objects than then: some have expired. Those that are left do not say which of the
    counted ones they are, so the counts of before are the best ones. Late objects among them are not counted.
    """
    if known is None or new["objects"] >= known["objects"]:
        return new, False
    firsts = [day for day in (new["first_event_day"], known["first_event_day"]) if day is not None]
    lasts = [day for day in (new["last_event_day"], known["last_event_day"]) if day is not None]
    event_days = {"first_event_day": min(firsts, default=None), "last_event_day": max(lasts, default=None)}
    taken = {name: new[name] for name in ("fingerprint", "closed_to", "compacted_at")}
    return known | taken | event_days, True


def rows_of(table: OpenTable, files: DataFiles) -> dict[str, Row]:
    """The rows by their arrival days."""
    return {each["dt"]: each for path in files.paths for batch in table.batches(path) for each in batch.to_pylist()}


def arrivals(rows: Mapping[str, Row]) -> dict[date, Arrival]:
    """What the rows say, by arrival day."""
    return {
        date.fromisoformat(dt): Arrival(
            dt=date.fromisoformat(dt),
            fingerprint=each["fingerprint"],
            closed_to=each["closed_to"],
            last_event_day=each["last_event_day"],
        )
        for dt, each in rows.items()
    }


def put(tables: Tables, changed: list[Row]) -> None:
    """Put rows in the place of those of their arrival days. Raises `Conflict`.

    If two runs read a day at once, either row may stay. It then says what that run read, and has the fingerprint of it.
    """
    small_tables.commit(tables, LEDGER, lambda: changed)
