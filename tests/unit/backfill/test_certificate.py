"""The plan and the coverage certificate agree with holes that are cut on purpose."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from backfill.days import days_of, minutes_of, spans_of
from backfill.plan import DayRange, Known, missing_days
from bars.coverage import coverage_of_days
from bars.provenance import STREAM
from tests.fakes.exchange_weeks import WEEKS
from tests.support.sizes import sized

EVER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
ALL_DAYS = DayRange(date(2026, 1, 1), date(2026, 12, 31))


@pytest.mark.parametrize("seed", range(sized(2, 10)))
@pytest.mark.parametrize("week", WEEKS)
def test_holes_that_are_cut_on_purpose_are_what_is_missing(week: str, seed: int) -> None:
    rng = random.Random(f"{week}/{seed}")
    zone, sessions = WEEKS[week]
    minutes = [minute for day in days_of(sessions, zone) for minute in minutes_of(day)]
    start = rng.randrange(len(minutes))
    holes = {*rng.sample(minutes, 30), *minutes[start : start + 40]}
    asked = set(rng.sample(sorted(holes), 10))
    stored = {minute: STREAM for minute in minutes if minute not in holes}
    spans = spans_of(sorted(asked))

    certificate = coverage_of_days(sessions, stored, spans)
    assert sum(day.expected for day in certificate) == len(minutes)
    assert sum(day.without_trades for day in certificate) == len(asked)
    gaps = [
        gap.start + timedelta(minutes=each) for day in certificate for gap in day.gaps for each in range(gap.minutes)
    ]
    assert gaps == sorted(holes - asked)

    known = Known("X", zone, sessions, *EVER, frozenset(stored), spans)
    planned = missing_days(known, "1m", ALL_DAYS, EVER[1])
    assert [
        start + timedelta(minutes=each)
        for missing in planned
        for start, end in missing.spans
        for each in range((end - start) // timedelta(minutes=1))
    ] == gaps
