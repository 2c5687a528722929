"""A watch group: symbols that are polled together. Pure."""

from __future__ import annotations

import msgspec

AUTO = "auto"
"""Stands for the calendars that are implied by the names of the symbols."""

ALWAYS = "always"
"""The calendar of symbols that never stop trading, and of unknown symbols: a poll too many loses nothing."""

MIN_INTERVAL_SECONDS = 0.1
MAX_INTERVAL_SECONDS = 86_400.0
DEFAULT_GROUP = "default"
"""The name of the only group, if the symbols are named without a watchlist."""


class WatchGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Symbols with one interval, one calendar and one source."""

    name: str
    symbols: tuple[str, ...]
    interval_seconds: float
    """The seconds from one poll to the next. A pushed source decides itself when it delivers."""
    calendar: str
    """`auto`, `always`, or the name of a calendar of exchange_calendars."""
    source: str
    """The name of a source of the registry."""
