"""What is planned: whole days of the exchange that miss a bar, in the fewest chunks that Yahoo allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.charts import limit_of
from backfill.chunks import Chunk
from backfill.days import Times, covered_minutes, days_of, minutes_of, uncovered, with_weekdays
from backfill.plan import DayRange, Known, Limit, daily_chunk, forgotten_first, missing_days, plan_symbol
from bars.resolutions import Span, midnight
from bars.sessions import Session, Sessions
from tests.fakes.exchange_weeks import BERLIN, CHICAGO, NEW_YORK, TOKYO, WEEKS, around_the_clock, session
from tests.support.sizes import sized

MINUTES = Limit(timedelta(days=30), timedelta(days=7))
NOW = datetime(2026, 11, 28, 19, tzinfo=UTC)
WEEK = DayRange(date(2026, 11, 23), date(2026, 11, 27))
EVER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)


def known(
    sessions: Sequence[Session], zone: ZoneInfo = NEW_YORK, stored: Sequence[datetime] = (), asked: Sequence[Span] = ()
) -> Known:
    return Known("AAPL", zone, sessions, *EVER, frozenset(stored), asked)


US_WEEK = WEEKS["a holiday and a half day"].sessions


def all_minutes(sessions: Sequence[Session], zone: ZoneInfo) -> list[datetime]:
    return [minute for day in days_of(sessions, zone) for minute in minutes_of(day)]


def test_a_week_without_bars_is_one_chunk_from_its_first_midnight_to_its_last_closing_auction() -> None:
    plan = plan_symbol(known(US_WEEK), "1m", MINUTES, WEEK, NOW)
    assert plan.chunks == [
        Chunk("AAPL", "1m", datetime(2026, 11, 23, 5, tzinfo=UTC), datetime(2026, 11, 27, 18, 1, tzinfo=UTC))
    ]
    assert not plan.is_unknown
    assert plan.forgotten == []


def test_a_half_day_expects_half_of_the_minutes_and_a_holiday_none() -> None:
    missing = missing_days(known(US_WEEK), "1m", WEEK, NOW)
    lengths = {
        each.day.day.day: sum((end - start) // timedelta(minutes=1) for start, end in each.spans) for each in missing
    }
    assert lengths == {23: 390, 24: 390, 25: 390, 27: 210}


def test_one_missing_minute_plans_its_day_and_nothing_else() -> None:
    stored = all_minutes(US_WEEK, NEW_YORK)
    stored.remove(datetime(2026, 11, 24, 15, 30, tzinfo=UTC))
    (chunk,) = plan_symbol(known(US_WEEK, stored=stored), "1m", MINUTES, WEEK, NOW).chunks
    assert (chunk.start, chunk.end) == (
        datetime(2026, 11, 24, 5, tzinfo=UTC),
        datetime(2026, 11, 24, 21, 1, tzinfo=UTC),
    )


def test_a_minute_that_was_asked_for_before_is_not_missing() -> None:
    stored = all_minutes(US_WEEK, NEW_YORK)
    gap = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
    stored.remove(gap)
    asked = [Span(gap, gap + timedelta(minutes=1))]
    assert plan_symbol(known(US_WEEK, stored=stored, asked=asked), "1m", MINUTES, WEEK, NOW).chunks == []


def test_a_day_is_planned_only_once_it_has_been_over_for_an_hour() -> None:
    end = datetime(2026, 11, 27, 18, 1, tzinfo=UTC)
    friday = DayRange(date(2026, 11, 27), date(2026, 11, 27))
    for age, planned in ((timedelta(minutes=59), 0), (timedelta(hours=1), 1)):
        assert len(plan_symbol(known(US_WEEK), "1m", MINUTES, friday, end + age).chunks) == planned


def test_days_that_the_source_forgets_are_named_and_not_asked_for() -> None:
    now = datetime(2026, 12, 24, 19, tzinfo=UTC)
    plan = plan_symbol(known(US_WEEK), "1m", MINUTES, WEEK, now)
    assert plan.forgotten == [date(2026, 11, 23), date(2026, 11, 24)]
    assert plan.chunks[0].start == datetime(2026, 11, 25, 5, tzinfo=UTC)


def test_unknown_sessions_are_said() -> None:
    each = known(US_WEEK)._replace(known_from=datetime(2026, 11, 25, tzinfo=UTC))
    assert plan_symbol(each, "1m", MINUTES, WEEK, NOW).is_unknown
    each = known(US_WEEK)._replace(known_to=datetime(2026, 11, 26, tzinfo=UTC))
    assert plan_symbol(each, "1m", MINUTES, WEEK, NOW).is_unknown


def test_what_the_source_forgets_first_is_asked_for_first() -> None:
    early, late = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC)
    chunks = [Chunk("B", "1m", late, late), Chunk("B", "1m", early, late), Chunk("A", "1m", late, late)]
    assert [(each.symbol, each.start) for each in forgotten_first(chunks)] == [("B", early), ("A", late), ("B", late)]


def test_a_lunch_break_is_not_missing() -> None:
    tokyo = [session("2026-11-24", "09:00", "11:30", TOKYO), session("2026-11-24", "12:30", "15:30", TOKYO)]
    (day,) = days_of(tokyo, TOKYO)
    spans = uncovered(day, "1m", [], before=day.end)
    assert [(end - start).seconds // 60 for start, end in spans] == [150, 180]


def test_a_night_session_belongs_to_the_day_after_it_and_days_do_not_overlap() -> None:
    nights = [
        session("2026-11-23", "17:00", "16:00", CHICAGO, eve=1),
        session("2026-11-24", "17:00", "16:00", CHICAGO, eve=1),
    ]
    monday, tuesday = days_of(nights, CHICAGO)
    assert monday.start == datetime(2026, 11, 22, 23, tzinfo=UTC)
    assert monday.end <= tuesday.start
    (chunk,) = plan_symbol(known(nights, CHICAGO), "1m", MINUTES, WEEK, NOW).chunks
    assert (chunk.start, chunk.end) == (monday.start, tuesday.end)
    (night,) = missing_days(known(nights, CHICAGO, all_minutes(nights[:1], CHICAGO)), "1m", WEEK, NOW)
    assert night.day == tuesday


@pytest.mark.parametrize(("first", "hours"), [(date(2026, 3, 23), 23), (date(2026, 10, 19), 25)])
def test_a_symbol_that_trades_around_the_clock_has_days_of_23_and_25_hours(first: date, hours: int) -> None:
    days = [first + timedelta(days=each) for each in range(7)]
    sessions = around_the_clock(first, 7, BERLIN)
    assert len(list(minutes_of(days_of(sessions, BERLIN)[-1]))) == hours * 60
    now = midnight(days[-1], BERLIN) + timedelta(days=2)
    chunks = plan_symbol(known(sessions, BERLIN), "1m", MINUTES, DayRange(days[0], days[-1]), now).chunks
    assert [each.start for each in chunks] == [sessions[0].opens, *([sessions[-1].opens] if hours == 25 else [])]
    assert all(each.end - each.start <= timedelta(days=7) for each in chunks)
    assert chunks[-1].end == sessions[-1].closes


def test_a_session_keeps_its_clock_when_the_exchange_changes_its_own() -> None:
    days = [session(day, "09:30", "16:00", NEW_YORK) for day in ("2026-10-30", "2026-11-02")]
    friday, monday = days_of(days, NEW_YORK)
    assert (friday.sessions[0].start.hour, monday.sessions[0].start.hour) == (13, 14)
    assert len(list(minutes_of(friday))) == len(list(minutes_of(monday))) == 390


@pytest.mark.parametrize(("resolution", "step"), [("5m", 5), ("1h", 60)])
def test_coarser_bars_cover_their_minutes_wherever_they_begin(resolution: str, step: int) -> None:
    (day, *_) = days_of(US_WEEK, NEW_YORK)
    opens, closes = day.sessions[0]
    starts = [opens + timedelta(minutes=each) for each in range(0, 390, step)]  # Yahoo's hours begin at half past
    assert uncovered(day, resolution, covered_minutes(resolution, starts), before=day.end) == []
    assert uncovered(day, resolution, covered_minutes(resolution, starts[:-1]), before=day.end) == [
        Span(starts[-1], closes)
    ]


def test_the_bar_of_a_day_covers_the_day() -> None:
    (day, *_) = days_of(US_WEEK, NEW_YORK)
    assert uncovered(day, "1d", [day.midnight], before=day.end) == []
    assert uncovered(day, "1d", [], before=day.end) == [Span(day.start, day.end)]


def test_days_take_one_request_that_reaches_to_the_present_day() -> None:
    plan = plan_symbol(known(US_WEEK), "1d", Limit(None, None), WEEK, NOW)
    assert plan.chunks == [daily_chunk("AAPL", NEW_YORK, datetime(2026, 11, 23, 5, tzinfo=UTC), NOW)]
    assert plan.chunks[0].end == datetime(2026, 11, 29, 5, tzinfo=UTC)


@settings(max_examples=sized(20, 200), deadline=None)
@given(
    st.sampled_from([("1m", 33), ("5m", 63), ("1h", 60), ("1d", 60)]),
    st.sampled_from([NEW_YORK, TOKYO, CHICAGO]),
    st.sampled_from(["around the clock", "by day", "from the evening before"]),
    st.integers(-3, 3),
    st.integers(0, 1_439),
)
def test_no_request_asks_for_more_than_yahoo_gives_at_once(
    resolution_and_days: tuple[str, int], zone: ZoneInfo, hours: str, later: int, minutes: int
) -> None:
    resolution, days = resolution_and_days
    limit, now = limit_of(resolution), NOW + timedelta(minutes=minutes)
    assert limit.kept is not None
    assert limit.per_request is not None
    first = (now - limit.kept).date() + timedelta(days=later)
    if hours == "around the clock":
        sessions = around_the_clock(first, days, zone)
    else:
        own, eve = (str(first + timedelta(days=each)) for each in range(days)), int(hours != "by day")
        sessions = [session(day, "17:00" if eve else "09:30", "16:00", zone, eve=eve) for day in own]
    chunks = plan_symbol(known(sessions, zone), resolution, limit, DayRange(first, now.date()), now).chunks
    assert chunks
    assert max(each.end - each.start for each in chunks) <= limit.per_request


def test_before_the_known_sessions_weekdays_stand_for_the_days_of_the_exchange() -> None:
    start = midnight(date(2026, 11, 19), NEW_YORK)
    assumed = with_weekdays(Sessions(US_WEEK, US_WEEK[0].opens, NOW), start, NEW_YORK)
    assert [each.day[-2:] for each in assumed.sessions] == ["19", "20", "23", "24", "25", "27"]
    assert assumed.known_from == start


@settings(max_examples=sized(12, 60))
@given(st.sets(st.sampled_from(all_minutes(US_WEEK, NEW_YORK)), max_size=40), st.data())
def test_a_gap_gives_the_same_chunks_however_much_else_is_missing_in_other_weeks(
    gaps: set[datetime], data: st.DataObject
) -> None:
    before = [session(day, "09:30", "16:00", NEW_YORK) for day in ("2026-11-16", "2026-11-17", "2026-11-20")]
    others = data.draw(st.sets(st.sampled_from(all_minutes(before, NEW_YORK)), max_size=5))
    alone = known(US_WEEK, stored=[each for each in all_minutes(US_WEEK, NEW_YORK) if each not in gaps])
    both = [*before, *US_WEEK]
    among = known(both, stored=[each for each in all_minutes(both, NEW_YORK) if each not in gaps | others])
    month = DayRange(date(2026, 11, 1), date(2026, 11, 27))
    chunks = plan_symbol(alone, "1m", MINUTES, month, NOW).chunks
    assert [
        each
        for each in plan_symbol(among, "1m", MINUTES, month, NOW).chunks
        if each.start >= US_WEEK[0].opens - timedelta(days=1)
    ] == chunks
    assert all(any(each.start <= gap < each.end for each in chunks) for gap in gaps)


@pytest.mark.parametrize("resolution", ["1m", "5m", "1h"])
def test_a_century_before_what_yahoo_keeps_is_planned_without_its_minutes(
    resolution: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[datetime] = []

    def noted(span: Span) -> Iterator[datetime]:
        for minute in minutes(span):
            looked_at.append(minute)
            yield minute

    minutes = Span.minutes
    monkeypatch.setattr(Span, "minutes", noted)
    first, count = date(1925, 1, 1), 37_221
    sessions = around_the_clock(first, count, NEW_YORK)
    partly = sessions[-4].opens
    each = known(sessions, NEW_YORK, stored=[partly], asked=[Span(sessions[-3].opens, sessions[-3].closes)])
    limit = limit_of(resolution)
    assert limit.kept is not None
    plan = plan_symbol(each, resolution, limit, DayRange(first, date(2026, 11, 27)), NOW)
    assert len(looked_at) == 2 * 1_440  # those of a day with a bar, and of one that was asked for
    assert count - limit.kept.days - 2 <= len(plan.forgotten) <= count - limit.kept.days + 2
    assert plan.chunks[-1].end == sessions[-1].closes


@settings(max_examples=sized(30, 300))
@given(st.sampled_from(sorted(WEEKS)), st.data())
def test_the_gaps_of_days_are_those_of_their_minutes(week: str, data: st.DataObject) -> None:
    zone, sessions = WEEKS[week]
    seconds = st.sampled_from([0, 0, 30])
    shifted = [
        each._replace(opens=each.opens + timedelta(seconds=data.draw(seconds)), closes=each.closes) for each in sessions
    ]
    minutes = all_minutes(shifted, zone)
    stored = data.draw(st.sets(st.sampled_from(minutes), max_size=3))
    asked = [
        Span(each, each + timedelta(minutes=5)) for each in data.draw(st.sets(st.sampled_from(minutes), max_size=2))
    ]
    expected = [each for each in minutes if each not in stored and each not in Times(asked)]
    missing = missing_days(known(shifted, zone, [*stored], asked), "1m", DayRange(date.min, date.max), EVER[1])
    spans = [span for each in missing for span in each.spans]
    assert [minute for span in spans for minute in span.minutes()] == expected
    assert all(one.end < other.start for each in missing for one, other in pairwise(each.spans))


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=6))
def test_times_have_the_moments_of_each_of_their_spans(pairs: list[tuple[int, int]]) -> None:
    base = datetime(2026, 11, 23, tzinfo=UTC)

    def at(minute: int) -> datetime:
        return base + timedelta(minutes=minute)

    times = Times(Span(at(start), at(start + length)) for start, length in pairs)
    for minute in range(-1, 70):
        assert (at(minute) in times) == any(start <= minute < start + length for start, length in pairs)
        for end in range(minute + 1, minute + 9):
            assert times.touch(at(minute), at(end)) == any(at(each) in times for each in range(minute, end))
