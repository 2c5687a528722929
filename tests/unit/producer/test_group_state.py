"""The state of a group: its calendars, its margins, and what a poll changes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from producer_service.group_state import GroupState, Progress
from producer_service.market_hours import MarketHours
from producer_service.sources import FetchResult, SourceTraits
from tests.fakes.producer_bench import LIVE, RECORDED, calendar, group
from tests.support.quotes import OPEN, make_quote

MINUTE = timedelta(minutes=1)
DAY = calendar("DAY", (OPEN, OPEN + 60 * MINUTE))
MARKET_HOURS = MarketHours(["DAY"], lambda _name, _now: DAY, OPEN)


def state(traits: SourceTraits = LIVE, *, before: timedelta = MINUTE, after: timedelta = MINUTE) -> GroupState:
    return GroupState(group(calendar="DAY"), traits, MARKET_HOURS, before_open=before, after_close=after)


@pytest.mark.parametrize(
    ("traits", "calendars"), [(LIVE, ("XNYS",)), (RECORDED, ("always",))], ids=["exchanges", "never closes"]
)
def test_the_source_derives_the_calendars_of_auto(traits: SourceTraits, calendars: tuple[str, ...]) -> None:
    made = GroupState(group(calendar="auto"), traits, MARKET_HOURS, before_open=timedelta(), after_close=timedelta())
    assert made.calendars == calendars


def test_the_calendar_of_the_user_comes_first() -> None:
    assert state(RECORDED).calendars == ("DAY",)


@pytest.mark.parametrize(
    ("settings", "source", "margin"), [(10, 5, 10), (10, 15, 15), (10, 0, 10)], ids=["settings", "source", "none"]
)
def test_the_longer_margin_counts(settings: int, source: int, margin: int) -> None:
    traits = replace(LIVE, before_open=source * MINUTE, after_close=source * MINUTE)
    made = state(traits, before=settings * MINUTE, after=settings * MINUTE)
    phase = made.phase(OPEN)
    assert (phase.since, phase.closes) == (OPEN - margin * MINUTE, OPEN + (60 + margin) * MINUTE)


def test_progress_keeps_the_longest_delay_and_what_was_known_before_a_failure() -> None:
    delayed = FetchResult(quotes=(replace(make_quote(), delay_minutes=15),), complete_to=OPEN)
    progress = Progress().after(OPEN, delayed).after(OPEN + MINUTE, FetchResult(complete_to=OPEN + MINUTE))
    assert progress == Progress(completed_at=OPEN + MINUTE, complete_to=OPEN + MINUTE, delay=15 * MINUTE)
    assert progress.after(OPEN + 2 * MINUTE, FetchResult()) == progress


def test_a_group_that_has_ended_is_never_due() -> None:
    made = state()
    assert made.is_due(OPEN)
    made.progress = Progress(ended=True)
    assert not made.is_due(OPEN)
