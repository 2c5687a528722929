"""Calendars of exchange_calendars: holidays, early closes, clock changes, breaks, and their last known day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import structlog.testing

from producer_service import calendars
from producer_service.calendars import LOOK_AHEAD
from producer_service.cli import hours_of
from producer_service.errors import ConfigurationError
from producer_service.exchanges import NAMES
from producer_service.hours import LATEST, Hours, Session
from producer_service.market_hours import OPEN_ALWAYS, Calendar, MarketHours
from producer_service.plan import Plan
from tests.fakes.producer_bench import FakeSource, group
from tests.support.sizes import FULL


def on(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def sessions_of(name: str, day: str) -> list[tuple[str, str]]:
    """The sessions of a day, in UTC."""
    known = calendars.load(name, on(day)).sessions
    return [(f"{a:%H:%M}", f"{b:%H:%M}") for a, b in known if a.date() == on(day).date() and b != LATEST]


@pytest.mark.parametrize(
    ("name", "day", "sessions"),
    [
        ("XNYS", "2026-11-25", [("14:30", "21:00")]),
        ("XNYS", "2026-11-26", []),  # Thanksgiving
        ("XNYS", "2026-11-27", [("14:30", "18:00")]),  # closes at 13:00 in New York
        ("XNYS", "2026-11-28", []),
        ("XLON", "2026-12-24", [("08:00", "12:30")]),
        ("XLON", "2026-12-25", []),
        ("XTKS", "2026-11-24", [("00:00", "02:30"), ("03:30", "06:30")]),  # a lunch break
    ],
)
def test_holidays_early_closes_and_breaks(name: str, day: str, sessions: list[tuple[str, str]]) -> None:
    assert sessions_of(name, day) == sessions


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("XNYS", ("2026-03-06", "14:30"), ("2026-03-09", "13:30")),
        ("XNYS", ("2026-10-30", "13:30"), ("2026-11-02", "14:30")),
        ("XLON", ("2026-03-27", "08:00"), ("2026-03-30", "07:00")),
    ],
)
def test_an_exchange_opens_by_its_own_clock_when_clocks_change(
    name: str, before: tuple[str, str], after: tuple[str, str]
) -> None:
    for day, opens in (before, after):
        assert sessions_of(name, day)[0][0] == opens


def test_a_calendar_counts_as_open_after_its_last_known_day() -> None:
    calendar = calendars.load("XNYS", on("2026-11-23"))
    assert on("2026-11-23") + LOOK_AHEAD < calendar.known_to < on("2026-11-23") + LOOK_AHEAD + timedelta(days=2)
    assert Hours(calendar.sessions).phase(on("2027-06-06")).is_open  # a Sunday


def test_a_calendar_is_known_as_far_as_its_holidays_are_announced() -> None:
    calendar = calendars.load("XBOM", on("2026-12-20"))
    assert calendar.known_to <= on("2026-12-20") + LOOK_AHEAD + timedelta(days=2)
    assert calendar.sessions[-1] == Session(calendar.known_to, LATEST)
    assert not Hours(calendar.sessions).phase(on("2026-12-25T06:00")).is_open  # Christmas in Mumbai


@pytest.mark.parametrize("name", sorted(NAMES) if FULL else ("24/5", "CMES", "XBOM", "XLON", "XNYS", "us_futures"))
def test_every_calendar_that_a_name_implies_can_be_computed(name: str) -> None:
    assert len(calendars.load(name, on("2026-11-23")).sessions) > 20


def test_a_calendar_that_cannot_be_computed_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise NotImplementedError("no vectorized implementation")

    monkeypatch.setattr("exchange_calendars.get_calendar", fail)
    with pytest.raises(ConfigurationError, match=r"the calendar ASEX cannot be computed .* use always"):
        calendars.load("ASEX", on("2026-11-23"))


@pytest.mark.parametrize("name", ["auto", "always", "XNYS", "NASDAQ", "24/5"])
def test_a_valid_name_has_no_problem(name: str) -> None:
    assert calendars.name_problem(name) is None


def test_a_wrong_name_is_answered_with_a_suggestion() -> None:
    assert calendars.name_problem("xnys") == "is not a calendar; did you mean XNYS?"
    assert calendars.name_problem("alway") == "is not a calendar; did you mean always?"
    assert calendars.name_problem("Wall Street") == (
        "is not a calendar; use auto, always, or a calendar of exchange_calendars, such as XNYS"
    )


def day_by_day(name: str, now: datetime) -> Calendar:
    """A calendar that is open for four hours from noon, today and tomorrow."""
    noons = [now.replace(hour=12), now.replace(hour=12) + timedelta(days=1)]
    return Calendar(name, "UTC", tuple(Session(noon, noon + timedelta(hours=4)) for noon in noons), LATEST)


def test_a_refresh_moves_the_horizon() -> None:
    market = MarketHours(["DAY"], day_by_day, on("2026-11-23"))
    nothing = timedelta()
    later = on("2026-11-25T13:00")
    assert not market.hours(("DAY",), nothing, nothing).phase(later).is_open
    market.refresh(later)
    assert market.hours(("DAY",), nothing, nothing).phase(later).is_open


def test_a_refresh_that_fails_leaves_what_was_known() -> None:
    answers = [day_by_day("DAY", on("2026-11-23"))]
    market = MarketHours(["DAY"], lambda *_: answers.pop(), on("2026-11-23"))
    with pytest.raises(IndexError):
        market.refresh(on("2026-11-24"))
    assert market.hours(("DAY",), timedelta(), timedelta()).phase(on("2026-11-23T13:00")).is_open


def test_a_calendar_that_ends_soon_is_logged_as_a_warning() -> None:
    ends = Calendar("DAY", "UTC", (), on("2026-12-01"))
    with structlog.testing.capture_logs() as logs:
        MarketHours(["DAY", "always"], lambda name, _now: ends if name == "DAY" else OPEN_ALWAYS, on("2026-11-23"))
    assert [(entry["event"], entry["calendar"]) for entry in logs] == [("calendar_ends", "DAY")]


def test_several_calendars_are_open_while_any_of_them_is() -> None:
    market = MarketHours(["XNYS", "XLON"], calendars.load, on("2026-11-23"))
    hours = market.hours(("XLON", "XNYS"), timedelta(minutes=5), timedelta(minutes=10))
    phase = hours.phase(on("2026-11-23T12:00"))
    assert (phase.since, phase.closes) == (on("2026-11-23T07:55"), on("2026-11-23T21:10"))


def test_check_prints_the_next_open_and_close_of_each_group_in_utc_and_local_time() -> None:
    now = on("2026-11-26T15:00")  # Thanksgiving
    groups = (group("us", ("AAPL", "MSFT"), calendar="XNYS"), group("coins", ("BTC-USD",), interval_seconds=0.5))
    lines = list(
        hours_of(Plan(groups, {"yahoo": FakeSource()}, MarketHours(["XNYS", "always"], calendars.load, now)), now)
    )
    assert lines == [
        "ok    group us: 2 symbols every 10 s from yahoo, calendar XNYS",
        (
            "      XNYS is closed; opens Fri 2026-11-27 14:30 UTC (Fri 09:30 America/New_York), "
            "closes Fri 2026-11-27 18:00 UTC (Fri 13:00 America/New_York)"
        ),
        "ok    group coins: 1 symbol every 0.5 s from yahoo, calendar always",
    ]


def test_check_prints_the_close_of_an_open_exchange_first() -> None:
    now = on("2026-11-27T15:00")
    plan = Plan(
        (group("us", ("AAPL",), calendar="auto"),), {"yahoo": FakeSource()}, MarketHours(["XNYS"], calendars.load, now)
    )
    assert list(hours_of(plan, now))[1].strip().startswith("XNYS is open; closes Fri 2026-11-27 18:00 UTC")
