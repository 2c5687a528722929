"""When groups are polled and exchanges are open, in words for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from producer_service.exchanges import ALWAYS
from producer_service.group_state import GroupState
from producer_service.hours import Phase
from producer_service.market_hours import Calendar, MarketHours


def hours_of(states: Sequence[GroupState], market_hours: MarketHours, moment: datetime) -> Iterator[str]:
    """The lines of `check` about each group: its size, its interval, when it is polled, and its exchanges' hours."""
    for state in states:
        group, phase = state.group, state.phase(moment)
        count = f"{len(group.symbols)} symbol{'s' * (len(group.symbols) != 1)}"
        yield (
            f"ok    group {group.name}: {count} every {group.interval_seconds:g} s from {group.source}, "
            f"calendar {', '.join(state.calendars)}"
        )
        yield f"      polled {_polled(phase)}"
        for name in state.calendars:
            if name != ALWAYS:
                yield f"      {_session(market_hours.calendar(name), market_hours.session(name, moment))}"


def closed_exchanges(calendars: Sequence[str], market_hours: MarketHours, moment: datetime) -> Iterator[str]:
    """A line about each of some exchanges that is closed now, with its next open and close."""
    for name in calendars:
        phase = market_hours.session(name, moment)
        if phase is not None and not phase.is_open:
            yield _session(market_hours.calendar(name), phase)


def _polled(phase: Phase) -> str:
    if phase.is_open:
        return "now, at any time" if phase.closes is None else f"now, until {_in_utc(phase.closes)}"
    return "never, as far as is known" if phase.opens is None else f"from {_in_utc(phase.opens)}"


def _session(calendar: Calendar, phase: Phase | None) -> str:
    def in_words(time: datetime | None) -> str:
        if time is None:
            return "never, as far as is known"
        return f"{_in_utc(time)} ({calendar.local(time):%a %H:%M} {calendar.zone})"

    if phase is None:
        return f"{calendar.name} is not known, so it counts as open"
    opens, closes = f"opens {in_words(phase.opens)}", f"closes {in_words(phase.closes)}"
    return f"{calendar.name} is " + (f"open; {closes}, {opens}" if phase.is_open else f"closed; {opens}, {closes}")


def _in_utc(time: datetime) -> str:
    return f"{time:%a %Y-%m-%d %H:%M} UTC"
