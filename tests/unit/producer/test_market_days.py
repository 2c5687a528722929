"""Each market that Yahoo names, as a delayed feed shows it: no price is lost, and no lane claims too much.

By default two days of each are walked by the calendar's regular hours. The full size walks every minute of 2026 at
which something may happen, by the calendars with their holidays and half days.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from exchange_calendars.calendar_utils import _default_calendar_factories as calendar_classes

from producer_service import calendars
from producer_service.exchanges import ALWAYS, BY_SUFFIX, WEEK, trading_of
from producer_service.hours import LATEST, Session
from producer_service.market_hours import OPEN_ALWAYS, Calendar
from tests.support.market_days import MARKETS, MINUTE, Market, Price, moments_around, prices_of_day, walk
from tests.support.sizes import FULL

MONDAY = date(2026, 11, 23)
YEAR = date(2026, 1, 1), date(2026, 12, 31)


@cache
def regular_hours(name: str) -> Calendar:
    """The calendar of an exchange if no day were special, for some weeks. Computing real ones takes seconds."""
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
    for day in (MONDAY + timedelta(days=number) for number in range(-10, 20)):
        opens, closes = local(day, exchange.open_times), local(day, exchange.close_times)
        assert opens is not None
        assert closes is not None
        if day.weekday() > 4:
            continue
        if closes <= opens:
            closes += timedelta(days=1)
        breaks = [local(day, getattr(exchange, side)) for side in ("break_start_times", "break_end_times")]
        if isinstance(exchange.break_start_times, property) or None in breaks:
            sessions.append(Session(opens, closes))
        else:
            sessions += [Session(opens, breaks[0]), Session(breaks[1], closes)]  # type: ignore[arg-type]
    return Calendar(name, str(zone), tuple(sessions), LATEST)


@pytest.mark.parametrize("market", MARKETS, ids=lambda market: market.symbol)
def test_no_price_is_lost_and_no_claim_is_false(market: Market) -> None:
    for day in (MONDAY, MONDAY + timedelta(days=3)):
        prices = list(prices_of_day(market, day))
        walk(market, prices, moments_around(prices), lambda name, _now: regular_hours(name))


def test_a_market_of_each_suffix_is_walked() -> None:
    assert {market.symbol.rpartition(".")[2] for market in MARKETS} >= set(BY_SUFFIX) - {
        "SAU",  # another name of SR
        *("CBT", "CMX", "NYM", "NYB"),  # futures, which are walked as GC=F and CL=F
    }


@pytest.mark.skipif(not FULL, reason="walks a year of every market, which takes minutes: set STOCKSTREAM_FULL=1")
@pytest.mark.parametrize("market", MARKETS if FULL else MARKETS[:1], ids=lambda market: market.symbol)
def test_a_year_of_a_market(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendars, "LOOK_AHEAD", timedelta(days=370))
    days = [list(prices_of_day(market, day, early_by=early_by)) for day, early_by in trading_days(market)]
    moments = {moment for prices in days for moment in minutes_of(prices)}
    moments |= {days[0][0].event_time + number * 30 * MINUTE for number in range(365 * 48)}
    walk(market, [price for prices in days for price in prices], sorted(moments), calendars.load)


def minutes_of(prices: Sequence[Price]) -> Iterator[datetime]:
    """Every minute from an hour before a market opens until three hours after its last price is visible."""
    moment = prices[0].event_time.replace(second=0) - timedelta(hours=1)
    last = max(price.visible_at for price in prices) + timedelta(hours=3)
    while moment < last:
        yield moment
        moment += MINUTE


def trading_days(market: Market) -> Iterator[tuple[date, timedelta]]:
    """The days of the year on which a market trades, and how much earlier than usual it closes."""
    name = trading_of(market.symbol).calendar
    if name in (ALWAYS, WEEK):
        yield from ((day, timedelta()) for day in days_of_year() if day.weekday() <= 4)
        return
    calendar = calendars.load(name, datetime.combine(YEAR[0], datetime.min.time(), UTC))
    closes = {calendar.local(each.closes).date(): each.closes for each in calendar.sessions if each.closes != LATEST}
    usual = calendar_classes[name].close_times
    for day in days_of_year():
        if day in closes:
            last = datetime.min.time().replace(hour=16) if isinstance(usual, property) else usual[-1][1]
            regular = datetime.combine(day, last, ZoneInfo(calendar.zone))
            yield day, regular.astimezone(UTC) - closes[day]


def days_of_year() -> Iterator[date]:
    return (YEAR[0] + timedelta(days=number) for number in range(2, (YEAR[1] - YEAR[0]).days))
