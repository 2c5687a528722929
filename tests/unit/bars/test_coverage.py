"""The coverage of an exchange's days: sessions of all kinds, and holes that are cut on purpose."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from bars.coverage import DayCoverage, coverage_of_days, spans_of, spans_text
from bars.provenance import BACKFILL, REBUILD, STREAM
from bars.resolutions import MINUTE, Span
from bars.sessions import Session, SymbolCalendar, YearItem, sessions_between, sessions_of_days
from tests.support.query_bars import at, minutes_from, sessions_of
from tests.support.sizes import sized

NEW_YORK = [
    Session("2026-11-25", at("2026-11-25 14:30"), at("2026-11-25 21:00")),
    # Thanksgiving, and a half day
    Session("2026-11-27", at("2026-11-27 14:30"), at("2026-11-27 18:00")),
]
TOKYO = [
    Session("2026-11-24", at("2026-11-24 00:00"), at("2026-11-24 02:30")),
    Session("2026-11-24", at("2026-11-24 03:30"), at("2026-11-24 06:30")),
]
NIGHT = [
    Session("2026-11-24", at("2026-11-23 23:00"), at("2026-11-24 22:00")),
    Session("2026-11-25", at("2026-11-24 23:00"), at("2026-11-25 22:00")),
]


def minutes_of(session: Session) -> list[datetime]:
    return minutes_from(session.opens, (session.closes - session.opens) // MINUTE)


def all_of(sessions: list[Session], provenance: str = STREAM) -> dict[datetime, str]:
    return {minute: provenance for session in sessions for minute in minutes_of(session)}


def gaps(day: DayCoverage) -> list[tuple[str, str, int]]:
    return [(f"{gap.start:%d %H:%M}", f"{gap.end:%d %H:%M}", gap.minutes) for gap in day.gaps]


def test_holidays_have_no_day_and_half_days_have_fewer_minutes() -> None:
    full, half = coverage_of_days(NEW_YORK, all_of(NEW_YORK))
    assert (full.day, full.expected, full.stored, full.missing) == ("2026-11-25", 390, {STREAM: 390}, 0)
    assert (half.day, half.expected, half.closes) == ("2026-11-27", 210, at("2026-11-27 18:00"))


def test_minutes_of_a_lunch_break_are_not_expected() -> None:
    stored = all_of(TOKYO) | dict.fromkeys(minutes_from(at("2026-11-24 02:30"), 60), STREAM)
    for minute in (*minutes_from(at("2026-11-24 02:20"), 10), *minutes_from(at("2026-11-24 03:30"), 5)):
        del stored[minute]
    [day] = coverage_of_days(TOKYO, stored)
    assert (day.opens, day.closes) == (at("2026-11-24 00:00"), at("2026-11-24 06:30"))
    assert (day.expected, day.stored, day.missing) == (330, {STREAM: 315}, 15)
    assert gaps(day) == [("24 02:20", "24 02:30", 10), ("24 03:30", "24 03:35", 5)]


def test_a_session_that_begins_on_the_evening_before_is_of_one_day() -> None:
    stored = all_of(NIGHT)
    del stored[at("2026-11-23 23:59")]
    first, second = coverage_of_days(NIGHT, stored)
    assert (first.day, first.expected, first.missing) == ("2026-11-24", 23 * 60, 1)
    assert (second.expected, second.missing) == (23 * 60, 0)


@pytest.mark.parametrize(("day", "minutes"), [("2026-03-08", 23 * 60), ("2026-11-01", 25 * 60), ("2026-11-02", 1_440)])
def test_a_day_around_the_clock_is_as_long_as_the_clock_of_its_zone_makes_it(day: str, minutes: int) -> None:
    calendar = SymbolCalendar("always", "America/New_York")
    noon = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC) + timedelta(hours=17)
    found = sessions_of_days(calendar, noon, noon + MINUTE, no_years)
    [covered] = coverage_of_days(found.sessions, {noon: STREAM})
    assert (covered.day, covered.expected, covered.missing) == (day, minutes, minutes - 1)


def no_years(calendar: str, first: str, last: str) -> list[YearItem]:  # noqa: ARG001
    return []


def test_what_the_source_has_no_bar_of_is_not_missing() -> None:
    half = NEW_YORK[1:]
    stored = all_of(half)
    for minute in minutes_from(at("2026-11-27 15:00"), 30):
        del stored[minute]
    asked = [Span(at("2026-11-27 15:10"), at("2026-11-27 15:20")), Span(at("2026-11-27 16:00"), at("2026-11-27 16:05"))]
    [day] = coverage_of_days(half, stored, asked)
    assert (day.stored, day.without_trades, day.missing) == ({STREAM: 180}, 10, 20)
    assert gaps(day) == [("27 15:00", "27 15:10", 10), ("27 15:20", "27 15:30", 10)]


def test_bars_are_counted_by_provenance() -> None:
    half = NEW_YORK[1:]
    stored = all_of(half)
    stored |= dict.fromkeys(minutes_from(at("2026-11-27 15:00"), 40), BACKFILL)
    stored |= dict.fromkeys(minutes_from(at("2026-11-27 15:30"), 20), REBUILD)
    [day] = coverage_of_days(half, stored)
    assert day.stored == {STREAM: 160, BACKFILL: 30, REBUILD: 20}


def test_minutes_that_are_not_over_are_not_expected() -> None:
    [day] = coverage_of_days(NEW_YORK, {}, before=at("2026-11-25 14:40"))
    assert (day.day, day.closes, day.expected, day.missing) == ("2026-11-25", at("2026-11-25 21:00"), 10, 10)


def test_a_session_that_opens_within_a_minute_begins_with_the_next_one() -> None:
    session = Session("2026-11-25", at("2026-11-25 14:30") + timedelta(seconds=30), at("2026-11-25 14:33"))
    [day] = coverage_of_days([session], {})
    assert gaps(day) == [("25 14:31", "25 14:33", 2)]


@pytest.mark.parametrize("seed", range(sized(3, 20)))
def test_coverage_agrees_with_holes_that_are_cut_on_purpose(seed: int) -> None:
    chance = random.Random(seed)
    sessions = [NIGHT[0], *NEW_YORK]
    stored = all_of(sessions)
    provenances = {minute: chance.choice((STREAM, BACKFILL, REBUILD)) for minute in stored}
    cut = set(chance.sample(sorted(stored), 40))
    asked = set(chance.sample(sorted(cut), 10))
    kept = {minute: provenance for minute, provenance in provenances.items() if minute not in cut}
    days = coverage_of_days(sessions, kept, [Span(minute, minute + MINUTE) for minute in asked])
    for day in days:
        minutes = [minute for session in sessions if session.day == day.day for minute in minutes_of(session)]
        assert day.expected == len(minutes)
        assert day.without_trades == len(asked & set(minutes))
        assert {minute for gap in day.gaps for minute in minutes_from(gap.start, gap.minutes)} == (
            (cut - asked) & set(minutes)
        )
        assert day.missing == sum(gap.minutes for gap in day.gaps)
        assert sum(day.stored.values()) + day.without_trades + day.missing == day.expected
        assert all(day.stored[name] == sum(kept.get(minute) == name for minute in minutes) for name in day.stored)


def test_spans_keep_their_times_as_text() -> None:
    spans = [Span(at("2026-11-27 15:10"), at("2026-11-27 15:20")), Span(at("2026-11-27 16:00"), at("2026-11-27 16:05"))]
    assert spans_of(spans_text(spans)) == spans
    assert spans_text(spans[:1]) == '[["2026-11-27T15:10:00.000Z","2026-11-27T15:20:00.000Z"]]'
    assert spans_of("[]") == []


class TestDays:
    """All sessions of a day, also of one that a range cuts."""

    CALENDAR = SymbolCalendar("XTKS", "Asia/Tokyo")

    @staticmethod
    def years(calendar: str, first: str, last: str) -> list[YearItem]:
        assert (calendar, first <= "2026" <= last) == ("XTKS", True)
        listed = [(day, f"{opens:%Y-%m-%d %H:%M}", f"{closes:%Y-%m-%d %H:%M}") for day, opens, closes in TOKYO]
        return [{**sessions_of(calendar, 2026, "Asia/Tokyo", listed)}]

    def test_have_the_sessions_that_the_range_does_not_touch(self) -> None:
        start, end = at("2026-11-24 04:00"), at("2026-11-24 05:00")
        assert sessions_of_days(self.CALENDAR, start, end, self.years).sessions == TOKYO
        assert sessions_between(self.CALENDAR, start, end, self.years).sessions == TOKYO[1:]

    def test_are_none_if_the_range_has_no_session(self) -> None:
        found = sessions_of_days(self.CALENDAR, at("2026-11-24 02:30"), at("2026-11-24 03:30"), self.years)
        assert (found.sessions, found.is_known) == ([], True)
