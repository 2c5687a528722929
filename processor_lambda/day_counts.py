"""The counts of a lane's quotes, by the UTC day on which Kinesis received them. Pure.

They are part of the state, so a quote counts exactly once, however often its record is delivered.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from lane_state import DayCounts, LaneState
from processor_lambda.fold import Folded
from processor_lambda.records import ParsedRecord

DAYS = 7
"""How many days are kept."""


def of_one_day(records: Sequence[ParsedRecord]) -> Sequence[ParsedRecord]:
    """The first records that arrived on one day. A commit takes in no others, so it counts for one day."""
    day = records[0].record.arrival.date()
    end = next((number for number, parsed in enumerate(records) if parsed.record.arrival.date() != day), len(records))
    return records[:end]


def counted(folded: Folded, before: LaneState, records: Sequence[ParsedRecord]) -> LaneState:
    """The folded state, with the arrival of its last record, and the counts `before` with those of the folded lines.

    The `records` are those that were folded, at least in part. They arrived on one day.
    """
    sequence = folded.state.position.sequence
    arrival = next(
        (parsed.record.arrival for parsed in records if parsed.record.sequence_number == sequence),
        records[-1].record.arrival,
    )
    return replace(folded.state, arrival=arrival, counts=_added(before.counts, arrival, folded))


def _added(counts: Sequence[DayCounts], arrival: datetime, folded: Folded) -> tuple[DayCounts, ...]:
    day, oldest = _day_of(arrival), _day_of(arrival - timedelta(days=DAYS - 1))
    days = {each.day: each for each in counts if each.day >= oldest}
    if folded.quotes:
        known = days.get(day, DayCounts(day, 0, 0, 0))
        days[day] = DayCounts(
            day, known.quotes + folded.quotes, known.late + folded.late, known.repeated + folded.repeated
        )
    return tuple(days[each] for each in sorted(days))


def _day_of(arrival: datetime) -> str:
    return arrival.date().isoformat()
