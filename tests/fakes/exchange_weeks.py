"""Weeks of exchanges with everything that is special about sessions."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bars.resolutions import midnight
from bars.sessions import Session


class ExchangeWeek(NamedTuple):
    """The sessions of some days of an exchange."""

    zone: ZoneInfo
    sessions: list[Session]


def session(day: str, opens: str, closes: str, zone: ZoneInfo, eve: int = 0) -> Session:
    """A session by the exchange's clock. With `eve`, it opens that many days before its day."""
    own = date.fromisoformat(day)
    start = datetime.combine(own - timedelta(days=eve), time.fromisoformat(opens), zone)
    end = datetime.combine(own, time.fromisoformat(closes), zone)
    return Session(day, start.astimezone(UTC), end.astimezone(UTC))


def around_the_clock(first: date, days: int, zone: ZoneInfo) -> list[Session]:
    """Sessions from midnight to midnight."""
    own = [first + timedelta(days=each) for each in range(days)]
    return [Session(str(each), midnight(each, zone), midnight(each + timedelta(days=1), zone)) for each in own]


NEW_YORK, TOKYO, CHICAGO, BERLIN = map(ZoneInfo, ("America/New_York", "Asia/Tokyo", "America/Chicago", "Europe/Berlin"))

WEEKS = {
    "a holiday and a half day": ExchangeWeek(
        NEW_YORK,
        [
            session("2026-11-23", "09:30", "16:00", NEW_YORK),
            session("2026-11-24", "09:30", "16:00", NEW_YORK),
            session("2026-11-25", "09:30", "16:00", NEW_YORK),
            session("2026-11-27", "09:30", "13:00", NEW_YORK),
        ],
    ),
    "a change of the clock": ExchangeWeek(
        NEW_YORK, [session(day, "09:30", "16:00", NEW_YORK) for day in ("2026-10-30", "2026-11-02")]
    ),
    "lunch breaks": ExchangeWeek(
        TOKYO,
        [
            session(day, *times, TOKYO)
            for day in ("2026-11-24", "2026-11-25")
            for times in (("09:00", "11:30"), ("12:30", "15:30"))
        ],
    ),
    "night sessions": ExchangeWeek(
        CHICAGO, [session(day, "17:00", "16:00", CHICAGO, eve=1) for day in ("2026-11-23", "2026-11-24")]
    ),
    "around the clock, with 25 hours": ExchangeWeek(BERLIN, around_the_clock(date(2026, 10, 24), 2, BERLIN)),
    "around the clock, with 23 hours": ExchangeWeek(BERLIN, around_the_clock(date(2026, 3, 28), 2, BERLIN)),
}
