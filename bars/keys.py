"""The range keys of the table of bars. Pure.

A key is the resolution and the start of the bar, such as `1m#2026-11-27T14:30:00.000Z`. So the bars of a symbol and a
resolution are one range of keys, in order of time. Other keys, such as `asked_key`, are no bars.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from quotes import from_iso, to_iso

ONE_MINUTE = "1m"
"""The resolution of the bars that the stream function makes."""
STORED_RESOLUTIONS = (ONE_MINUTE, "5m", "1h", "1d")
"""The resolutions of the bars that the table holds. Bars of all but a minute come from a backfill."""
_ASKED = "asked"
_AFTER_EVERY_TIME = ":"
"""Sorts after every time."""
_MILLISECOND = timedelta(milliseconds=1)


class KeyRange(NamedTuple):
    """The keys from the one to the other, both inclusive. If `first` is after `last`, there are none."""

    first: str
    last: str


def bar_key(resolution: str, start: datetime) -> str:
    """The key of the bar of a resolution that begins at a moment."""
    return f"{resolution}#{to_iso(start)}"


def resolution_of(key: str) -> str:
    """The resolution in the key of a bar."""
    return key.partition("#")[0]


def start_of(key: str) -> datetime:
    """The start in the key of a bar."""
    return from_iso(key.rpartition("#")[2])


def is_bar(key: str) -> bool:
    """Whether an item with this key is a bar."""
    return resolution_of(key) in STORED_RESOLUTIONS


def bar_keys(resolution: str, start: datetime | None = None, end: datetime | None = None) -> KeyRange:
    """The keys of the bars that begin at `start` or later, and before `end`. None is no bound."""
    return _range(resolution, start, end)


def asked_key(resolution: str, day: datetime) -> str:
    """The key of the item about the minutes that a backfill asked for, and the source has no bar of.

    `day` is the start of the days that were asked for together. `bars.coverage` reads the minutes.
    """
    return f"{_ASKED}#{bar_key(resolution, day)}"


def asked_keys(resolution: str, start: datetime | None = None, end: datetime | None = None) -> KeyRange:
    """The keys of such items of the days from `start` up to, but not including `end`."""
    return _range(f"{_ASKED}#{resolution}", start, end)


def _range(prefix: str, start: datetime | None, end: datetime | None) -> KeyRange:
    first = "" if start is None else to_iso(start)
    last = _AFTER_EVERY_TIME if end is None else to_iso(end - _MILLISECOND)
    return KeyRange(f"{prefix}#{first}", f"{prefix}#{last}")
