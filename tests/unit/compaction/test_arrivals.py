"""Which arrival days a run reads, and which event days are closed then."""

from datetime import UTC, date, datetime, timedelta

import pytest

from compaction.arrivals import (
    LOOK_BACK,
    Arrival,
    Place,
    arrival_days,
    candidates,
    closed_to,
    compacted_to,
    fingerprint,
    is_to_be_read,
    place_of,
)
from compaction.ports import ArchiveObject

TODAY = date(2026, 11, 28)
DAYS = [TODAY - timedelta(days=age) for age in range(60, -1, -1)]


def arrival(dt: date, *, closed: date = TODAY, last: date | None = None) -> Arrival:
    return Arrival(dt=dt, fingerprint="f", closed_to=closed, last_event_day=last or dt)


def known(*, but: date | None = None) -> dict[date, Arrival]:
    return {day: arrival(day) for day in DAYS if day != but}


@pytest.mark.parametrize(("hour", "minute", "day"), [(1, 59, 27), (2, 0, 28), (23, 0, 28)])
def test_a_day_is_closed_two_hours_after_it_ends(hour: int, minute: int, day: int) -> None:
    assert closed_to(datetime(2026, 11, 28, hour, minute, tzinfo=UTC)) == date(2026, 11, day)


def test_a_first_run_reads_every_day_and_later_ones_look_back() -> None:
    assert candidates(DAYS, {}, TODAY, None) == DAYS
    later = candidates(DAYS, known(), TODAY, None)
    assert later == [day for day in DAYS if day >= TODAY - LOOK_BACK]
    old = DAYS[3]
    assert candidates(DAYS, known(but=old), TODAY, None) == [old, *later]


def test_a_wanted_day_is_read_with_the_days_around_it() -> None:
    assert candidates(DAYS, known(), TODAY, [DAYS[3]]) == DAYS[2:5]


def test_a_day_is_read_if_it_is_new_changed_or_had_quotes_that_were_open() -> None:
    day = DAYS[-2]
    assert not is_to_be_read(day, "f", known(), TODAY)
    assert is_to_be_read(day, "other", known(), TODAY)
    assert is_to_be_read(day, "f", {}, TODAY)
    was_open = {day: arrival(day, closed=day)}
    assert is_to_be_read(day, "f", was_open, TODAY)
    assert not is_to_be_read(day, "f", was_open, day)


def test_days_are_closed_up_to_the_first_one_that_may_lack_something() -> None:
    assert compacted_to(DAYS, known(), TODAY, None) == TODAY
    # The quotes of a day arrive on the next one too.
    assert compacted_to(DAYS, known(but=DAYS[10]), TODAY, None) == DAYS[9]
    open_ = known() | {TODAY: arrival(TODAY, closed=TODAY)}
    assert compacted_to(DAYS, open_, TODAY, None) == TODAY
    assert compacted_to([], {}, TODAY, None) == TODAY


def test_a_day_that_was_closed_stays_closed() -> None:
    assert compacted_to(DAYS, known(but=DAYS[10]), TODAY, DAYS[50]) == DAYS[50]


def test_days_that_a_clock_ahead_has_closed_are_open_again() -> None:
    assert compacted_to(DAYS, known(), TODAY, TODAY + timedelta(days=90)) == TODAY


def test_places_sort_by_arrival_and_longer_names_are_later() -> None:
    keys = [
        "raw-data/dt=2026-11-23/hour=09/s-1-9.jsonl.gz",
        "raw-data/dt=2026-11-23/hour=09/s-1-10.jsonl.gz",
        "raw-data/dt=2026-11-23/hour=10/s-1-2.jsonl.gz",
        "raw-data/dt=2026-11-24/hour=00/s-1-1.jsonl.gz",
    ]
    places = [place_of(key) for key in keys]
    assert all(places)
    assert sorted(filter(None, places)) == places
    assert places[1] == Place("2026-11-23", 9, 15, "s-1-10.jsonl.gz")


@pytest.mark.parametrize("key", ["raw-data/dt=2026-11-23/hour=09/x.txt", "raw-data/x.jsonl.gz", "backfill/x.gz"])
def test_other_objects_have_no_place(key: str) -> None:
    assert place_of(key) is None


def test_only_folders_of_days_are_arrival_days() -> None:
    assert arrival_days(["dt=2026-11-24", "dt=2026-11-23", "other", "dt=x"]) == [date(2026, 11, 23), date(2026, 11, 24)]


def test_a_fingerprint_changes_with_any_object() -> None:
    objects = [ArchiveObject(key, 1, "t", datetime.now(UTC)) for key in ("a", "b")]
    same = [ArchiveObject(key, 1, "t", datetime.now(UTC)) for key in ("a", "b")]
    assert fingerprint(objects) == fingerprint(same)
    others = [objects[:1], [*objects[:1], ArchiveObject("b", 2, "t", objects[0].written_at)], [*objects, objects[0]]]
    assert len({fingerprint(each) for each in (objects, *others)}) == 4
