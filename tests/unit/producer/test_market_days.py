"""Each market that Yahoo names, as a delayed feed shows it: no price is lost, and no lane claims too much.

By default a day of each is walked by the calendar's regular hours. The full size walks 2026 by the calendars with
their holidays and half days: every minute at which something may happen on the first day of each kind, and every half
hour otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from exchange_calendars.calendar_utils import _default_calendar_factories as calendar_classes

from producer_service import calendars
from producer_service.exchanges import BY_SUFFIX, WEEK, trading_of
from producer_service.group_state import GroupState, Progress
from producer_service.hours import Session
from producer_service.market_hours import OPEN_ALWAYS, Calendar, MarketHours
from producer_service.sources.yahoo import traits_of
from tests.fakes.producer_bench import group
from tests.support.market_days import MARKETS, MINUTE, Market, Price, moments_around, prices_of_day, walk
from tests.support.sizes import FULL
from watchlist.groups import ALWAYS

YAHOO = traits_of(extended_hours=False)
MONDAY = date(2026, 11, 23)
FRIDAY = 4
YEAR = date(2026, 1, 10), date(2026, 12, 31)
START = datetime.combine(YEAR[0], datetime.min.time(), UTC)


@cache
def regular_hours(name: str) -> Calendar:
    """The calendar of an exchange if no day were special, for some months. Computing real ones takes seconds."""
    if name == ALWAYS:
        return OPEN_ALWAYS
    exchange = calendar_classes[name]
    zone = ZoneInfo(str(exchange.tz))

    def local(day: date, times: object) -> datetime | None:
        if isinstance(times, property):  # Santiago closes by the season
            times = ((None, datetime.min.time().replace(hour=16)),)
        last = times[-1][1] if times else None  # type: ignore[index]
        return None if last is None else datetime.combine(day, last, zone).astimezone(UTC)

    sessions = []
    days = (date(2026, 6, 1) + timedelta(days=number) for number in range(300))
    for day in (day for day in days if day.weekday() <= FRIDAY):
        opens, closes = local(day, exchange.open_times), local(day, exchange.close_times)
        assert opens is not None
        assert closes is not None
        if closes <= opens:
            closes += timedelta(days=1)
        breaks = [local(day, getattr(exchange, side)) for side in ("break_start_times", "break_end_times")]
        if isinstance(exchange.break_start_times, property) or None in breaks:
            sessions.append(Session(opens, closes))
        else:
            sessions += [Session(opens, breaks[0]), Session(breaks[1], closes)]  # type: ignore[arg-type]
    return Calendar(name, str(zone), tuple(sessions), sessions[0].opens, sessions[-1].closes)


@pytest.mark.parametrize("market", MARKETS, ids=lambda market: market.symbol)
def test_no_price_is_lost_and_no_claim_is_false(market: Market) -> None:
    prices = list(prices_of_day(market, MONDAY))
    walk(market, prices, moments_around(prices), lambda name, _now: regular_hours(name))


def state_of(symbol: str, load: Callable[[str], Calendar] = regular_hours, moment: str = "2026-11-26") -> GroupState:
    now = datetime.fromisoformat(moment).astimezone(UTC)
    hours = MarketHours([trading_of(symbol).calendar], lambda name, _now: load(name), now)
    watched = group("g", (symbol,), calendar="auto")
    return GroupState(watched, YAHOO, hours, before_open=timedelta(), after_close=timedelta())


def test_r4_the_official_close_of_hong_kong_is_polled_as_soon_as_it_is_visible() -> None:
    """Recorded: it bears 16:08:25, and 15 minutes later it becomes visible. The last poll was at 16:20:05."""
    at = datetime(2026, 11, 26, 16, 0, tzinfo=ZoneInfo("Asia/Hong_Kong"))
    state = state_of("1299.HK")
    for minute in (0, 20, 23, 24, 74):
        now = at + timedelta(minutes=minute, seconds=5)
        assert state.is_due(now)
        state.progress = Progress(completed_at=now, complete_to=now, delay=15 * MINUTE)
        assert state.complete_to(now) == at
    now = at + timedelta(minutes=75)
    assert state.is_due(now)
    state.progress = Progress(completed_at=now, complete_to=now, delay=15 * MINUTE)
    assert not state.is_due(now + MINUTE)
    assert state.complete_to(now + 60 * MINUTE) == now + 45 * MINUTE


@pytest.mark.parametrize(
    ("symbol", "moment"),
    [
        ("GGAL.BA", "2026-11-26T10:30-03:00"),  # opens half an hour before the calendar
        ("SAP.F", "2026-11-26T08:00+01:00"),  # the floor trades from 8:00 to 22:00
        ("SAP.F", "2026-11-26T21:59+01:00"),
        ("SAP.MU", "2026-11-26T22:59+01:00"),
        ("005930.KS", "2026-11-26T16:30+09:00"),  # on the day of the university exam, trading ends an hour late
        ("GC=F", "2026-11-26T12:00-05:00"),  # Thanksgiving
        ("CL=F", "2026-12-25T18:30-05:00"),  # the evening of Christmas
        ("WALMEX.MX", "2026-07-01T07:30-06:00"),  # New York has summer time, and Mexico has none
        ("2222.SR", "2026-11-26T15:19+03:00"),  # trades at the closing price
        ("PETR4.SA", "2026-11-26T18:45-03:00"),  # after-market
        ("RELIANCE.NS", "2026-11-28T12:00+05:30"),  # a Saturday: the budget, or a test of the other data centre
        ("TEVA.TA", "2026-11-27T12:00+02:00"),  # a Friday
    ],
)
def test_r6_a_market_that_is_wider_than_its_calendar_is_polled(symbol: str, moment: str) -> None:
    assert state_of(symbol, moment=moment).phase(datetime.fromisoformat(moment).astimezone(UTC)).is_open


def test_r6_holidays_of_india_count_as_open_for_the_hour_of_trading_in_the_evening_of_diwali() -> None:
    evening = datetime.fromisoformat("2026-11-10T18:30+05:30")
    mumbai = calendars.load("XBOM", evening.astimezone(UTC))
    assert all(session.opens.date() != evening.date() for session in mumbai.sessions)
    assert state_of("RELIANCE.NS", lambda _name: mumbai).phase(evening.astimezone(UTC)).is_open


def test_a_closed_market_is_not_polled_at_night() -> None:
    night = datetime.fromisoformat("2026-11-26T03:00-05:00").astimezone(UTC)
    assert not state_of("AAPL").phase(night).is_open


def test_a_market_of_each_suffix_is_walked() -> None:
    assert {market.symbol.rpartition(".")[2] for market in MARKETS} >= set(BY_SUFFIX) - {
        "SAU",  # another name of SR
        *("CBT", "CMX", "NYM", "NYB"),  # futures, which are walked as GC=F and CL=F
    }


@pytest.mark.skipif(not FULL, reason="walks a year of every market, which takes minutes: set STOCKSTREAM_FULL=1")
@pytest.mark.parametrize("market", MARKETS if FULL else MARKETS[:1], ids=lambda market: market.symbol)
def test_a_year_of_a_market(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendars, "LOOK_BACK", timedelta(days=5))
    monkeypatch.setattr(calendars, "LOOK_AHEAD", timedelta(days=370))
    days = [
        list(prices_of_day(market, day, late_by=late_by, early_by=early_by))
        for day, late_by, early_by in trading_days(market)
    ]
    moments = {days[0][0].event_time + number * 30 * MINUTE for number in range(365 * 48)}
    zone = calendars.load(trading_of(market.symbol).calendar, START).zone
    for prices in first_of_each_kind(days, ZoneInfo(zone)):
        moments.update(minutes_of(prices))
    walk(market, [price for prices in days for price in prices], sorted(moments), calendars.load)


def first_of_each_kind(days: Sequence[Sequence[Price]], zone: ZoneInfo) -> Iterable[Sequence[Price]]:
    """The first of the days that differ in nothing but their date.

    They are the same day of the week, begin and end at the same time in UTC and on the calendar's clock, and are as
    long after the day before and before the day after.
    """
    kinds: dict[tuple[object, ...], Sequence[Price]] = {}
    for before, prices, after in zip([None, *days], days, [*days[1:], None], strict=False):
        opens, closes = prices[0].event_time, prices[-1].event_time
        kind = (
            opens.weekday(),
            opens.time(),
            closes.time(),
            opens.astimezone(zone).time(),
            before and opens - before[-1].event_time,
            after and after[0].event_time - closes,
        )
        kinds.setdefault(kind, prices)
    return kinds.values()


def minutes_of(prices: Sequence[Price]) -> Iterator[datetime]:
    """Every minute from an hour before a market opens until three hours after its last price is visible."""
    moment = prices[0].event_time.replace(second=0) - timedelta(hours=1)
    last = max(price.visible_at for price in prices) + timedelta(hours=3)
    while moment < last:
        yield moment
        moment += MINUTE


def trading_days(market: Market) -> Iterator[tuple[date, timedelta, timedelta]]:
    """The days on which a market trades, how much later than usual it opens, and how much earlier it closes."""
    name = trading_of(market.symbol).calendar
    if name in (ALWAYS, WEEK):
        yield from ((day, timedelta(), timedelta()) for day in days_of_year() if day.weekday() <= FRIDAY)
        return
    usual, special = regular_hours(name), calendars.load(name, START)
    usual_opens, usual_closes = (times_of_day(usual, side)[MONDAY] for side in ("opens", "closes"))
    opens, closes = times_of_day(special, "opens"), times_of_day(special, "closes")
    for day in days_of_year():
        if day in closes:
            late_by, early_by = opens[day] - usual_opens, usual_closes - closes[day]
            yield day, max(late_by, timedelta()), early_by


def times_of_day(calendar: Calendar, side: Literal["opens", "closes"]) -> dict[date, timedelta]:
    """The first open or the last close of each day, as the time since midnight on the exchange's clock."""
    times: dict[date, timedelta] = {}
    for session in calendar.sessions:
        local = calendar.local(getattr(session, side)).replace(tzinfo=None)
        midnight = datetime.combine(local.date(), datetime.min.time())
        if side == "closes" or local.date() not in times:
            times[local.date()] = local - midnight
    return times


def days_of_year() -> Iterator[date]:
    return (YEAR[0] + timedelta(days=number) for number in range(2, (YEAR[1] - YEAR[0]).days))
