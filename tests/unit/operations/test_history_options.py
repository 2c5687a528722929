"""Which symbols and days the commands about stored history are about."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.plan import DayRange, Known, Limit, missing_days, plan_symbol
from bars.recent_days import begun_since, recent_from
from bars.sessions import Session, SymbolCalendar
from operations.errors import WrongUsage
from operations.history_options import chosen, day_range

NOW = datetime(2026, 11, 28, 19, tzinfo=UTC)
ZONES = st.sampled_from(["Pacific/Kiritimati", "America/New_York", "Pacific/Pago_Pago"])
KNOWN = {name: SymbolCalendar("XNYS", "America/New_York") for name in ("AAPL", "MSFT", "^GSPC")}


class Calendars:
    """Of symbols that were watched once. All of them are watched now, unless it is said."""

    def __init__(self, known: dict[str, SymbolCalendar], watched: tuple[str, ...] | None = None) -> None:
        self._known, self._watched = known, tuple(known) if watched is None else watched

    def symbols(self) -> dict[str, SymbolCalendar]:
        return self._known

    def watched(self) -> dict[str, SymbolCalendar]:
        return {name: self._known[name] for name in self._watched}


def test_by_default_the_symbols_are_meant_that_are_watched_now() -> None:
    assert chosen(Calendars(KNOWN), None) == KNOWN
    assert list(chosen(Calendars(KNOWN, ("MSFT",)), None)) == ["MSFT"]
    assert chosen(Calendars({}), None) == {}


def test_a_removed_symbol_may_be_named() -> None:
    assert list(chosen(Calendars(KNOWN, ("MSFT",)), ["AAPL"])) == ["AAPL"]


def test_symbols_are_separated_by_commas_and_named_once() -> None:
    assert list(chosen(Calendars(KNOWN), ["MSFT, AAPL", "MSFT"])) == ["MSFT", "AAPL"]


def test_a_symbol_without_a_calendar_is_refused_by_name() -> None:
    with pytest.raises(WrongUsage, match=r"^NVDA, AMD: no producer has written the calendar of these symbols"):
        chosen(Calendars(KNOWN), ["AAPL,NVDA,AMD"])


def test_an_unknown_symbol_comes_with_the_known_ones() -> None:
    with pytest.raises(WrongUsage, match=r"It has written 3: AAPL, MSFT, \^GSPC\. See"):
        chosen(Calendars(KNOWN), ["APPL"])
    many = {f"S{number:02}": KNOWN["AAPL"] for number in range(40)}
    with pytest.raises(WrongUsage, match=r"It has written 40: S00, S01, .*, S09, …\. See"):
        chosen(Calendars(many), ["APPL"])
    with pytest.raises(WrongUsage, match="It has written none so far"):
        chosen(Calendars({}), ["AAPL"])


@pytest.mark.parametrize("symbols", [[","], [" "], ["", ", ,"]])
def test_an_option_without_a_symbol_is_refused(symbols: list[str]) -> None:
    with pytest.raises(WrongUsage, match="--symbols names no symbol"):
        chosen(Calendars(KNOWN), symbols)


@pytest.mark.parametrize("last", [None, datetime(2027, 2, 1)])  # noqa: DTZ001  (as the command line gives them)
def test_days_in_the_future_are_refused(last: datetime | None) -> None:
    with pytest.raises(WrongUsage, match=r"--from 2027-01-01 is in the future: it is 2026-11-28 19:00 \(UTC\) now"):
        day_range(datetime(2027, 1, 1), last, NOW)  # noqa: DTZ001
    assert day_range(datetime(2026, 11, 29), None, NOW).first == date(2026, 11, 29)  # noqa: DTZ001


@given(st.dates(date(2026, 11, 30), date(2999, 12, 31)))
def test_the_last_day_is_never_one_that_has_not_begun_anywhere(last: date) -> None:
    assert day_range(None, datetime.combine(last, time()), NOW) == day_range(None, None, NOW)


def test_by_default_the_days_are_the_last_thirty_up_to_the_one_that_has_begun_anywhere() -> None:
    since = datetime(2026, 10, 29, 20, tzinfo=UTC)
    assert day_range(None, None, NOW) == DayRange(date(2026, 10, 29), date(2026, 11, 29), since)


@given(st.integers(0, 365 * 1_440), ZONES, st.sampled_from([0, 15]))
def test_by_default_no_day_is_meant_that_yahoo_no_longer_keeps_and_each_that_it_keeps(
    minutes: int, zone: str, earlier: int
) -> None:
    now = NOW - timedelta(minutes=minutes)
    own, sessions = ZoneInfo(zone), list[Session]()
    for day in (now.date() + timedelta(days=each) for each in range(-34, 1)):
        opens = datetime.combine(day, time(9), own).astimezone(UTC) - timedelta(hours=earlier)
        # It ends at half past, because one that ends at midnight has no minute of a closing auction.
        sessions.append(Session(day.isoformat(), opens, opens + timedelta(hours=5, minutes=30)))
    known = Known("AAPL", own, sessions, sessions[0].opens, now + timedelta(days=2), frozenset())
    limit = Limit(timedelta(days=30), timedelta(days=7))
    wanted = day_range(None, None, now)

    meant = [each.day for each in missing_days(known, "1m", wanted, now)]
    assert plan_symbol(known, "1m", limit, wanted, now).forgotten == []
    assert 28 <= len(meant) <= 30
    shown = begun_since(sessions, recent_from(now), own)
    assert [day.day.isoformat() for day in meant] == [
        each.day for each in shown if each.closes + timedelta(hours=1, minutes=1) <= now
    ]


def test_days_may_be_named() -> None:
    first, last = datetime(2026, 10, 1), datetime(2026, 10, 5)  # noqa: DTZ001  (as the command line gives them)
    assert day_range(first, last, NOW) == DayRange(date(2026, 10, 1), date(2026, 10, 5))
    assert day_range(None, last, NOW) == DayRange(date(2026, 9, 6), date(2026, 10, 5))
    with pytest.raises(WrongUsage, match="--from 2026-10-05 is after --to 2026-10-01"):
        day_range(last, first, NOW)


@given(
    st.integers(0, 400),
    ZONES,
    st.none() | st.integers(0, 40),
)
def test_days_that_have_begun_to_expire_are_left_out(stored_days: int, zone: str, to: int | None) -> None:
    last = None if to is None else datetime(2026, 11, 28) - timedelta(days=to)  # noqa: DTZ001  (as the command line gives it)
    days = day_range(None, last, NOW, stored_days=stored_days)

    assert days.first <= days.last == day_range(None, last, NOW).last
    assert days.first >= day_range(None, last, NOW).first
    if stored_days and days.first < days.last:
        assert days.span(ZoneInfo(zone)).start >= NOW - timedelta(days=stored_days)
    if stored_days == 0 or stored_days > 80:
        assert days == day_range(None, last, NOW)


def test_days_that_are_named_may_have_expired() -> None:
    first = datetime(2026, 10, 1)  # noqa: DTZ001  (as the command line gives it)
    assert day_range(first, None, NOW, stored_days=7).first == date(2026, 10, 1)
