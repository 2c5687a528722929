"""What "the last 30 days" are: those whose minutes Yahoo still keeps. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from bars.resolutions import midnight
from bars.sessions import Session

RECENT = timedelta(days=30)
"""How far back coverage and backfill look by default. Yahoo keeps minutes for as long."""
MARGIN = timedelta(hours=1)
"""How much earlier than the source forgets a bar it is asked for, since a run takes a while."""


def recent_from(end: datetime) -> datetime:
    """Days that begin at this moment or later are among the last 30 days before `end`."""
    return end - RECENT + MARGIN


def begun_since(sessions: Sequence[Session], since: datetime, zone: ZoneInfo) -> list[Session]:
    """Those sessions, which are in order, whose day begins at a moment or later.

    A day begins at its midnight, or with its first open if that is on the evening before.
    """
    begins: dict[str, datetime] = {}
    for each in sessions:
        begins.setdefault(each.day, min(each.opens, midnight(date.fromisoformat(each.day), zone)))
    return [each for each in sessions if begins[each.day] >= since]
