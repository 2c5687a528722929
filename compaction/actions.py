"""Commits corporate actions. They are few, and each is there once: its last arrival."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from analytics.compacted_tables import ACTIONS
from compaction import small_tables
from compaction.arrivals import Place
from compaction.iceberg import Tables
from compaction.ports import Backfilled
from compaction.reading import ArrivedAction
from compaction.small_tables import Row

VALUES = ("numerator", "denominator", "amount", "currency", "source")
"""The columns that say what an action is. The others are its key, and when and where it arrived."""


def commit(tables: Tables, arrived: Sequence[ArrivedAction]) -> int:
    """Put actions into their table, whatever their event day. Returns how many are new or have other values."""
    return small_tables.commit(tables, ACTIONS, lambda: map(_row, arrived), _is_later, VALUES)


def commit_fetched(tables: Tables, chunks: Iterable[Backfilled]) -> int:
    """Put the actions of a backfill's chunks into the table. Returns how many are new or have other values.

    They arrive when they were fetched. Backfills fetch the same actions every night, and these change nothing.
    """
    rows = [
        _row(ArrivedAction(Place(f"{each.fetched_at:%Y-%m-%d}", each.fetched_at.hour, len(each.key), each.key), action))
        for each in chunks
        for action in each.actions
    ]
    rows.sort(key=_arrival)  # else one with the stored values would not win over an earlier one with others
    return small_tables.commit(tables, ACTIONS, lambda: rows, _corrects, VALUES)


def _row(arrived: ArrivedAction) -> Row:
    action, place = arrived.action, arrived.place
    return {
        "symbol": action.symbol,
        "action": action.action,
        "event_time": action.event_time.replace(tzinfo=None),
        "numerator": action.numerator,
        "denominator": action.denominator,
        "amount": action.amount,
        "currency": action.currency,
        "source": action.source,
        "ingest_time": action.ingest_time.replace(tzinfo=None),
        "dt": place.dt,
        "hour": place.hour,
        "day": action.event_time.date(),
        "object": place.name,
    }


def _corrects(new: Row, old: Row) -> bool:
    """Whether a fetched action arrived after another one, and has other values."""
    return any(new[name] != old[name] for name in VALUES) and _is_later(new, old)


def _is_later(new: Row, old: Row) -> bool:
    """Whether a line arrived after another one, as the view `corporate_actions` decides."""
    return _arrival(new) > _arrival(old)


def _arrival(row: Row) -> tuple[object, ...]:
    return row["dt"], row["hour"], len(row["object"]), row["object"], row["ingest_time"]
