"""The counts of a lane's quotes by day: each quote counts exactly once, on the day on which its record arrived."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from msgspec.structs import replace

from lane_state import DayCounts, LaneState, unpack
from processor_lambda.day_counts import DAYS
from processor_lambda.records import Record
from quotes import Line, encode
from tests.fakes.pipeline import OPEN, Shard, make_heartbeats, make_processor, make_quote
from tests.fakes.processor_ports import World

FIRST_DAY = date(2026, 11, 23)
LANE = make_heartbeats(0)[0].lane


def records_of(*days: tuple[int, Sequence[Line]]) -> list[Record]:
    """A record for each day, counted from the first one, with its lines."""
    shard = Shard()
    return [
        replace(shard.put(encode(lines), LANE), arrival=OPEN + timedelta(days=day, seconds=number))
        for number, (day, lines) in enumerate(days)
    ]


def state_after(world: World) -> LaneState:
    return unpack(world.states[LANE])


def counts_of(*counts: tuple[int, int, int, int]) -> tuple[DayCounts, ...]:
    """Counts, with the number of the day in the place of its date."""
    return tuple(DayCounts(str(FIRST_DAY + timedelta(days=day)), *of_day) for day, *of_day in counts)


def test_a_record_that_is_delivered_again_counts_once() -> None:
    world = World()
    records = records_of((0, [make_quote(second=1), make_quote(second=2)]), (0, [make_quote(second=3)]))
    for batch in (records[:1], records, records, records[1:]):
        make_processor(world).process(batch)
    assert state_after(world).counts == counts_of((0, 3, 0, 0))
    assert state_after(world).arrival == records[-1].arrival


def test_late_and_repeated_quotes_are_told_apart() -> None:
    world = World()
    sent = [make_quote(second=1), make_quote(second=2)]
    make_processor(world).process(records_of((0, sent), (0, [sent[1]]), (0, [sent[0]])))
    assert state_after(world).counts == counts_of((0, 4, 1, 1))


def test_a_batch_of_two_days_is_counted_by_day() -> None:
    world = World()
    records = records_of(
        (0, [make_quote(second=1)]), (1, [make_quote(second=2), make_quote(second=3)]), (1, [make_quote(second=4)])
    )
    report = make_processor(world).process(records)
    assert (report.quotes, report.late) == (4, 0)
    assert state_after(world).counts == counts_of((0, 1, 0, 0), (1, 3, 0, 0))


def test_the_last_days_are_kept() -> None:
    world = World()
    make_processor(world).process(records_of(*((day, [make_quote(second=day)]) for day in range(DAYS + 3))))
    assert state_after(world).counts == counts_of(*((day, 1, 0, 0) for day in range(3, DAYS + 3)))


def test_a_record_without_quotes_advances_the_arrival_alone() -> None:
    world = World()
    records = records_of((0, [make_quote(second=1)]), (1, [make_heartbeats(60)[0]]))
    make_processor(world).process(records)
    assert state_after(world).counts == counts_of((0, 1, 0, 0))
    assert state_after(world).arrival == records[1].arrival
