"""The hours of groups and exchanges in words, for `check` and /status. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from producer_service.group_state import GroupState
from producer_service.hours import Phase
from producer_service.market_hours import Calendar
from watchlist.groups import ALWAYS

_UNKNOWN = "never, as far as is known"


def hours_of(states: Sequence[GroupState], moment: datetime) -> Iterator[str]:
    """The lines of `check` about each group: its size, its interval, when it is polled, and its exchanges' hours."""
    for state in states:
        group, phase = state.group, state.phase(moment)
        count = f"{len(group.symbols)} symbol{'s' * (len(group.symbols) != 1)}"
        yield (
            f"ok    group {group.name}: {count} every {group.interval_seconds:g} s from {group.source}, "
            f"calendar {', '.join(state.calendars)}"
        )
        yield f"      polled {_polled(phase)}"
        for calendar, session in state.sessions(moment):
            if calendar.name != ALWAYS:
                yield f"      {_session(calendar, session)}"


def closed(calendar: Calendar, phase: Phase) -> str:
    """That an exchange is closed, and when it opens: in UTC and in its own time."""
    return f"{calendar.name} is closed; opens {_in_words(phase.opens, calendar)}"


def in_utc(time: datetime) -> str:
    """A moment, to the minute."""
    return f"{time:%a %Y-%m-%d %H:%M} UTC"


def _polled(phase: Phase) -> str:
    if phase.is_open:
        return "now, at any time" if phase.closes is None else f"now, until {in_utc(phase.closes)}"
    return _UNKNOWN if phase.opens is None else f"from {in_utc(phase.opens)}"


def _session(calendar: Calendar, phase: Phase | None) -> str:
    if phase is None:
        return f"{calendar.name} is not known, so it counts as open"
    opens, closes = _in_words(phase.opens, calendar), _in_words(phase.closes, calendar)
    if phase.is_open:
        return f"{calendar.name} is open; closes {closes}, opens {opens}"
    return f"{closed(calendar, phase)}, closes {closes}"


def _in_words(time: datetime | None, calendar: Calendar) -> str:
    return _UNKNOWN if time is None else f"{in_utc(time)} ({calendar.local(time):%a %H:%M} {calendar.zone})"
