"""The holidays and half days of New York's stock exchanges, by their rules. Special days of mourning are left out.

exchange_calendars knows them too, but importing it takes seconds, and tests start many local Yahoos.
"""

from __future__ import annotations

from datetime import date, time, timedelta
from functools import lru_cache

HALF_DAY_CLOSES = time(13)
HALF_DAY_POST_CLOSES = time(17)
_MONDAY, _THURSDAY, _FRIDAY, _SATURDAY, _SUNDAY = 0, 3, 4, 5, 6
_DAY = timedelta(days=1)
_JUNETEENTH_SINCE = 2022


@lru_cache(maxsize=256)
def holidays(year: int) -> frozenset[date]:
    """The weekdays of a year without a session."""
    fixed = [date(year, 7, 4), date(year, 12, 25)]
    if year >= _JUNETEENTH_SINCE:
        fixed.append(date(year, 6, 19))
    found = {_observed(day) for day in fixed}
    new_year = date(year, 1, 1)
    if new_year.weekday() != _SATURDAY:  # the Friday before it belongs to another year, and is a day like others
        found.add(_observed(new_year))
    return frozenset(
        found
        | {
            _nth(year, 1, _MONDAY, 3),  # Martin Luther King
            _nth(year, 2, _MONDAY, 3),  # Washington
            _easter(year) - 2 * _DAY,
            _nth(year, 6, _MONDAY, 1) - 7 * _DAY,  # Memorial Day, the last Monday of May
            _nth(year, 9, _MONDAY, 1),  # Labor Day
            _thanksgiving(year),
        }
    )


@lru_cache(maxsize=256)
def half_days(year: int) -> frozenset[date]:
    """The days of a year that close at 13:00: those before Independence Day and Christmas, and after Thanksgiving."""
    eves = (date(year, 7, 3), date(year, 12, 24))
    days = {day for day in eves if day.weekday() < _FRIDAY}
    return frozenset(days | {_thanksgiving(year) + _DAY})


def _thanksgiving(year: int) -> date:
    return _nth(year, 11, _THURSDAY, 4)


def _observed(day: date) -> date:
    """A holiday on a Saturday is kept on Friday, and one on a Sunday on Monday."""
    return day - _DAY if day.weekday() == _SATURDAY else day + _DAY if day.weekday() == _SUNDAY else day


def _nth(year: int, month: int, weekday: int, count: int) -> date:
    """A weekday of a month, counted from 1."""
    first = date(year, month, 1)
    return first + _DAY * ((weekday - first.weekday()) % 7 + 7 * (count - 1))


def _easter(year: int) -> date:
    """Easter Sunday, by the anonymous Gregorian computus."""
    century, rest = divmod(year, 100)
    golden = year % 19
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)
