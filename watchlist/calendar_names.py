"""The names of calendars. It imports exchange_calendars, which takes half a second, only for a name that needs it."""

from __future__ import annotations

import difflib

from watchlist.groups import ALWAYS, AUTO


def name_problem(name: str) -> str | None:
    """What is wrong with the name of a calendar, to follow the name in a sentence; None if nothing is."""
    if name in (AUTO, ALWAYS):
        return None
    try:
        from exchange_calendars import get_calendar_names  # noqa: PLC0415
    except Exception:  # noqa: BLE001  (a library that does not work must not keep the producer from starting)
        return None
    by_capitals = {known.upper(): known for known in (AUTO, ALWAYS, *get_calendar_names())}
    if name in by_capitals.values():
        return None
    capitals = name.upper()
    close = [capitals] if capitals in by_capitals else difflib.get_close_matches(capitals, by_capitals)
    if close:
        return f"is not a calendar; did you mean {' or '.join(by_capitals[each] for each in close)}?"
    return "is not a calendar; use auto, always, or a calendar of exchange_calendars, such as XNYS"
