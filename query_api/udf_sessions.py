"""The sessions of an exchange in the words of TradingView's library. Pure.

https://www.tradingview.com/charting-library-docs/latest/connecting_data/Trading-Sessions describes them: `0930-1600` is
the usual session, `20261126` a holiday, and `0930-1300:20261127` a day with other hours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bars.sessions import Session

AROUND_THE_CLOCK = "24x7"
_MONDAY_TO_FRIDAY = range(5)


class TradingHours(NamedTuple):
    """When a symbol trades."""

    session: str
    """The hours of a usual day, Monday to Friday."""
    holidays: str
    """The days from Monday to Friday without a session, separated by commas."""
    corrections: str
    """The days with other hours, separated by semicolons."""


ALWAYS_TRADING = TradingHours(AROUND_THE_CLOCK, "", "")


def trading_hours(sessions: Iterable[Session], zone: ZoneInfo) -> TradingHours:
    """The hours that most days have, and the days that differ. Without sessions, a symbol trades around the clock."""
    hours: dict[str, list[str]] = {}
    for session in sessions:
        opens, closes = (each.astimezone(zone) for each in (session.opens, session.closes))
        hours.setdefault(session.day, []).append(f"{opens:%H%M}-{closes:%H%M}")
    if not hours:
        return ALWAYS_TRADING
    by_day = {day: ",".join(spans) for day, spans in hours.items()}
    ((usual, _),) = Counter(by_day.values()).most_common(1)
    others: dict[str, list[str]] = {}
    for day, spans in by_day.items():
        if spans != usual:
            others.setdefault(spans, []).append(day.replace("-", ""))
    first, last = date.fromisoformat(min(by_day)), date.fromisoformat(max(by_day))
    days = (first + timedelta(days=number) for number in range((last - first).days))
    holidays = [f"{day:%Y%m%d}" for day in days if day.weekday() in _MONDAY_TO_FRIDAY and day.isoformat() not in by_day]
    corrections = [f"{spans}:{','.join(changed)}" for spans, changed in others.items()]
    return TradingHours(usual, ",".join(holidays), ";".join(corrections))
