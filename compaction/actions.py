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


def commit(tables: Tables, arrived: Sequence[ArrivedAction]) -> int:
    """Put actions into their table, whatever their event day. Returns how many rows differ from before."""
    return small_tables.commit(tables, ACTIONS, lambda: map(_row, arrived), _is_later)


def of_chunks(chunks: Iterable[Backfilled]) -> list[ArrivedAction]:
    """The actions in chunks of a backfill. They arrive when they were fetched."""
    return [
        ArrivedAction(Place(f"{chunk.fetched_at:%Y-%m-%d}", chunk.fetched_at.hour, len(chunk.key), chunk.key), action)
        for chunk in chunks
        for action in chunk.actions
    ]


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


def _is_later(new: Row, old: Row) -> bool:
    """Whether a line arrived after another one, as the view `corporate_actions` decides."""
    return _arrival(new) > _arrival(old)


def _arrival(row: Row) -> tuple[object, ...]:
    return row["dt"], row["hour"], len(row["object"]), row["object"], row["ingest_time"]
