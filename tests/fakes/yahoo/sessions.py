"""The sessions of a market, and the state that Yahoo reports for it. All times are seconds since 1970."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from tests.fakes.yahoo.holidays import HALF_DAY_CLOSES, HALF_DAY_POST_CLOSES, half_days, holidays
from tests.fakes.yahoo.markets import Market


class Session(msgspec.Struct, frozen=True):
    """The trading hours of one day."""

    day: date
    pre_start: int
    """The start of trading before the session; equal to `start` where there is none."""
    start: int
    end: int
    post_end: int
    """The end of trading after the session; equal to `end` where there is none."""


@lru_cache(maxsize=65536)
def session_on(market: Market, day: date) -> Session | None:
    """The session of a day. None if the market is closed all day."""
    if day.weekday() >= market.days or (market.keeps_holidays and day in holidays(day.year)):
        return None
    zone = ZoneInfo(market.timezone)

    def epoch(time: time_of_day) -> int:
        return int(datetime.combine(day, time, zone).timestamp())

    start = epoch(market.opens)
    closes, post_closes = market.closes, market.post_closes
    if market.keeps_holidays and day in half_days(day.year):
        closes, post_closes = HALF_DAY_CLOSES, None if post_closes is None else HALF_DAY_POST_CLOSES
    end = epoch(closes) if closes is not None else _midnight_after(day, zone)
    return Session(
        day,
        epoch(market.pre_opens) if market.pre_opens is not None else start,
        start,
        end,
        epoch(post_closes) if post_closes is not None else end,
    )


def _midnight_after(day: date, zone: ZoneInfo) -> int:
    return int(datetime.combine(day + timedelta(days=1), time_of_day(0), zone).timestamp())


def local_day(market: Market, now: float) -> date:
    """The date at the market."""
    return datetime.fromtimestamp(now, ZoneInfo(market.timezone)).date()


def last_session(market: Market, now: float) -> Session:
    """The last session that has started."""
    session = session_on(market, local_day(market, now))
    if session is not None and session.start <= now:
        return session
    return session_before(market, local_day(market, now))


@lru_cache(maxsize=65536)
def session_before(market: Market, day: date) -> Session:
    """The last session of an earlier day."""
    while True:
        day -= timedelta(days=1)
        session = session_on(market, day)
        if session is not None:
            return session


def trading_period(market: Market, now: float) -> Session:
    """The session that Yahoo reports as the current one: that of today, or else the last."""
    return session_on(market, local_day(market, now)) or session_before(market, local_day(market, now))


def market_state(market: Market, now: float) -> str:
    """The state of the market: PREPRE, PRE, REGULAR, POST, POSTPOST or CLOSED."""
    session = session_on(market, local_day(market, now))
    if session is None:
        return "CLOSED"
    if session.start <= now < session.end:
        return "REGULAR"
    if not market.has_extended_hours:
        return "PREPRE" if now < session.start else "POSTPOST"
    if now < session.start:
        return "PREPRE" if now < session.pre_start else "PRE"
    return "POST" if now < session.post_end else "POSTPOST"


def utc_offset(market: Market, now: float) -> tuple[str, int]:
    """The abbreviation of the market's time zone, such as EST, and its offset from UTC in seconds."""
    local = datetime.fromtimestamp(now, ZoneInfo(market.timezone))
    offset = local.utcoffset()
    return local.tzname() or "UTC", 0 if offset is None else int(offset.total_seconds())
