"""Calendars of exchange_calendars: holidays, early closes, clock changes, breaks, and their last known day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
import structlog.testing

from producer_service import calendars
from producer_service.calendars import LOOK_AHEAD
from producer_service.errors import CalendarUnavailable
from producer_service.exchanges import EXCHANGES, WEEK, Trading
from producer_service.group_state import GroupState
from producer_service.hours import EARLIEST, LATEST, Hours, Session
from producer_service.hours_text import hours_of
from producer_service.market_hours import OPEN_ALWAYS, Calendar, MarketHours
from producer_service.sources import SourceTraits
from producer_service.sources.yahoo import traits_of
from tests.fakes.producer_bench import LIVE, group
from tests.support.sizes import FULL
from watchlist.calendar_names import name_problem
from watchlist.groups import WatchGroup

ALL = sorted({WEEK, *(exchange.calendar for exchange in EXCHANGES)})
NOTHING = timedelta()


def on(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def sessions_of(name: str, day: str) -> list[tuple[str, str]]:
    """The sessions of a day, in UTC."""
    known = calendars.load(name, on(day)).sessions
    return [(f"{a:%H:%M}", f"{b:%H:%M}") for a, b in known if a.date() == on(day).date()]


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


def test_a_calendar_counts_as_open_before_its_first_and_after_its_last_known_day() -> None:
    """The clock may be set back by months, and calendars are loaded once a day."""
    calendar = calendars.load("XNYS", on("2026-11-23"))
    assert on("2026-11-23") + LOOK_AHEAD < calendar.known_to < on("2026-11-23") + LOOK_AHEAD + timedelta(days=2)
    market = MarketHours(["XNYS"], lambda _name, _now: calendar, on("2026-11-23"))
    for sunday in (on("2026-07-05"), on("2027-06-06")):
        assert is_polled(market, "XNYS", sunday)
        assert market.session("XNYS", sunday) is None
    assert not is_polled(market, "XNYS", on("2026-11-22"))


def test_a_calendar_is_known_as_far_as_its_holidays_are_announced() -> None:
    calendar = calendars.load("XBOM", on("2026-12-20"))
    assert calendar.known_to <= on("2026-12-20") + LOOK_AHEAD + timedelta(days=2)
    assert not Hours(calendar.sessions).phase(on("2026-12-25T06:00")).is_open  # Christmas in Mumbai


@pytest.mark.parametrize("name", ALL if FULL else (WEEK, "XBOM", "XLON", "XNYS"))
def test_every_calendar_that_a_name_implies_can_be_computed(name: str) -> None:
    assert len(calendars.load(name, on("2026-11-23")).sessions) > 20


@pytest.mark.parametrize("error", [ValueError, NotImplementedError, KeyError, ImportError, RecursionError])
def test_a_calendar_that_cannot_be_computed_is_unavailable(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("no vectorized implementation")

    monkeypatch.setattr("exchange_calendars.get_calendar", fail)
    with pytest.raises(CalendarUnavailable, match=r"the calendar ASEX cannot be computed: .*no vectorized"):
        calendars.load("ASEX", on("2026-11-23"))


@pytest.mark.parametrize("name", ["auto", "always", "XNYS", "NASDAQ", "24/5"])
def test_a_valid_name_has_no_problem(name: str) -> None:
    assert name_problem(name) is None


def test_a_wrong_name_is_answered_with_a_suggestion() -> None:
    assert name_problem("xnys") == "is not a calendar; did you mean XNYS?"
    assert name_problem("alway") == "is not a calendar; did you mean always?"
    assert name_problem("Wall Street") == (
        "is not a calendar; use auto, always, or a calendar of exchange_calendars, such as XNYS"
    )


def day_by_day(name: str, now: datetime) -> Calendar:
    """A calendar that is open for four hours from noon, today and tomorrow."""
    noons = [now.replace(hour=12), now.replace(hour=12) + timedelta(days=1)]
    return Calendar(name, "UTC", tuple(Session(noon, noon + timedelta(hours=4)) for noon in noons), EARLIEST, LATEST)


def is_polled(market: MarketHours, name: str, moment: datetime) -> bool:
    trading = frozenset({Trading(calendar=name)})
    return market.polled(trading, before=NOTHING, after=NOTHING, delay=NOTHING).phase(moment).is_open


def test_a_refresh_moves_the_horizon() -> None:
    market = MarketHours(["DAY"], day_by_day, on("2026-11-23"))
    later = on("2026-11-25T13:00")
    assert not is_polled(market, "DAY", later)
    market.refresh(later)
    assert is_polled(market, "DAY", later)


def test_a_refresh_that_fails_leaves_the_calendar_and_refreshes_the_others() -> None:
    failing: set[str] = set()

    def load(name: str, now: datetime) -> Calendar:
        if name in failing:
            raise CalendarUnavailable("the library has a bug")
        return day_by_day(name, now)

    market = MarketHours(["A", "B"], load, on("2026-11-23"))
    failing.add("A")
    with structlog.testing.capture_logs() as logs:
        market.refresh(on("2026-11-25"))
    assert [is_polled(market, name, on("2026-11-23T13:00")) for name in ("A", "B")] == [True, False]
    assert [is_polled(market, name, on("2026-11-25T13:00")) for name in ("A", "B")] == [False, True]
    assert [(line["event"], line["calendar"]) for line in logs] == [("calendar_unavailable", "A")]


def test_a_calendar_that_never_could_be_loaded_counts_as_open_and_as_not_known() -> None:
    def load(_name: str, _now: datetime) -> Calendar:
        raise CalendarUnavailable("the library has a bug")

    now = on("2026-11-22")
    with structlog.testing.capture_logs() as logs:
        market = MarketHours(["XNYS"], load, now)
    assert is_polled(market, "XNYS", now)
    assert market.session("XNYS", now) is None
    assert market.known_to() == now
    assert [line["event"] for line in logs] == ["calendar_unavailable", "calendar_ends"]


def test_r3_past_the_end_of_a_calendar_the_producer_starts_and_counts_the_exchange_as_open() -> None:
    """The holidays of Shanghai, Mumbai and Singapore are recorded to the end of a year."""
    ending, night, load = ["XBOM", "XSES", "XSHG"], on("2027-02-01T20:00"), cache(calendars.load)
    market = MarketHours([*ending, "XNYS"], load, night)
    assert all(is_polled(market, name, night) for name in ending)
    assert not is_polled(market, "XNYS", on("2027-01-30T15:00"))  # a Saturday
    market = MarketHours([*ending, "XNYS"], load, on("2026-12-01"))
    market.refresh(night)
    assert all(is_polled(market, name, night) for name in ending)
    assert is_polled(market, "XNYS", on("2027-02-02T15:00"))
    assert not is_polled(market, "XNYS", on("2027-02-06T15:00"))


def test_r3_a_calendar_that_ends_is_logged_months_before() -> None:
    ends = Calendar("DAY", "UTC", (), EARLIEST, on("2027-01-01"))
    for day, warned in (("2026-10-30", []), ("2026-11-03", [("calendar_ends", "DAY")])):
        with structlog.testing.capture_logs() as logs:
            MarketHours(["DAY", "always"], lambda name, _now: ends if name == "DAY" else OPEN_ALWAYS, on(day))
        assert [(entry["event"], entry["calendar"]) for entry in logs] == warned


def test_several_calendars_are_open_while_any_of_them_is() -> None:
    market = MarketHours(["XNYS", "XLON"], calendars.load, on("2026-11-23"))
    tradings = frozenset({Trading(calendar="XLON"), Trading(calendar="XNYS")})
    hours = market.polled(tradings, before=timedelta(minutes=5), after=timedelta(minutes=10), delay=NOTHING)
    phase = hours.phase(on("2026-11-23T12:00"))
    assert (phase.since, phase.closes) == (on("2026-11-23T07:55"), on("2026-11-23T21:10"))


def test_days_without_a_session_are_days_off_in_the_exchanges_own_time() -> None:
    new_york = calendars.load("XNYS", on("2026-11-23"))
    days = [session for session in new_york.days_off() if on("2026-11-20") < session.opens < on("2026-11-30")]
    assert [(f"{a:%m-%d %H:%M}", f"{b:%m-%d %H:%M}") for a, b in days] == [
        ("11-21 05:00", "11-22 05:00"),
        ("11-22 05:00", "11-23 05:00"),
        ("11-26 05:00", "11-27 05:00"),  # Thanksgiving
        ("11-28 05:00", "11-29 05:00"),
        ("11-29 05:00", "11-30 05:00"),
    ]


def states_of(market: MarketHours, *groups: WatchGroup, traits: SourceTraits = LIVE) -> list[GroupState]:
    return [GroupState(each, traits, market, before_open=NOTHING, after_close=NOTHING) for each in groups]


def test_check_prints_the_next_open_and_close_of_each_group_in_utc_and_local_time() -> None:
    now = on("2026-11-26T15:00")  # Thanksgiving
    market = MarketHours(["XNYS", "always"], calendars.load, now)
    groups = group("us", ("AAPL", "MSFT"), calendar="XNYS"), group("coins", ("BTC-USD",), interval_seconds=0.5)
    lines = list(hours_of(states_of(market, *groups), now))
    assert lines == [
        "ok    group us: 2 symbols every 10 s from yahoo, calendar XNYS",
        "      polled from Fri 2026-11-27 14:30 UTC",
        (
            "      XNYS is closed; opens Fri 2026-11-27 14:30 UTC (Fri 09:30 America/New_York), "
            "closes Fri 2026-11-27 18:00 UTC (Fri 13:00 America/New_York)"
        ),
        "ok    group coins: 1 symbol every 0.5 s from yahoo, calendar always",
        "      polled now, at any time",
    ]


def test_check_prints_the_close_of_an_open_exchange_first() -> None:
    now = on("2026-11-27T15:00")
    market = MarketHours(["XNYS"], calendars.load, now)
    us = group("us", ("AAPL",), calendar="auto")
    _, polled, session = hours_of(states_of(market, us, traits=traits_of(extended_hours=False)), now)
    assert polled == "      polled now, until Fri 2026-11-27 19:15 UTC"
    assert session.strip().startswith("XNYS is open; closes Fri 2026-11-27 18:00 UTC")


def test_check_says_that_a_calendar_is_not_known() -> None:
    def load(_name: str, _now: datetime) -> Calendar:
        raise CalendarUnavailable("the library has a bug")

    now = on("2026-11-27")
    market = MarketHours(["XNYS"], load, now)
    *_, session = hours_of(states_of(market, group(calendar="XNYS")), now)
    assert session == "      XNYS is not known, so it counts as open"
