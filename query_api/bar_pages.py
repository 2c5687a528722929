"""Pages of bars of any resolution, made of the minutes of a symbol."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bars.keys import KeyRange, bar_keys
from bars.resolutions import MINUTE, ONE_MINUTE, Bar, Resolution, Span, first_start, merged, span_of
from indicators import Indicators
from query_api.minutes import Minutes, bar_of, start_of
from query_api.parameters import Range
from query_api.ports import Item

WARM_UP_BARS = 200
"""Indicators of coarser bars begin this many bars before the first bar of a page.

An average over 26 bars then holds less than a millionth of what came before those."""
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""No bar is later."""


class Group(NamedTuple):
    """What one bar is made of."""

    span: Span
    row: Item
    """The row of its first minute that was read, which is all of a bar of a minute."""
    bars: list[Bar]
    """The minutes of a coarser bar, in order of time. They take a tenth of the memory of their rows."""

    def bar(self) -> Bar:
        """The bar."""
        return merged(self.bars, self.span.start) if self.bars else bar_of(self.row)


class BarPage(NamedTuple):
    """Bars in the order that was asked for."""

    groups: list[Group]
    has_more: bool
    """Whether there may be more bars after the last one here."""


class BarReader:
    """Reads the bars of one symbol and one resolution."""

    def __init__(self, minutes: Minutes, resolution: Resolution, zone: ZoneInfo) -> None:
        self._minutes, self.resolution, self._zone = minutes, resolution, zone

    def page(self, times: Range, limit: int, *, newest_first: bool) -> BarPage:
        """Up to `limit` bars that begin in a range. Each is made of all its minutes, also of those past the range."""
        keys = self._keys(times)
        expected = (limit + 1) * self.resolution.minutes
        groups: list[Group] = []
        for group in self._groups(keys, newest_first=newest_first, expected=expected):
            if len(groups) == limit:
                return BarPage(groups, has_more=True)
            groups.append(group)
        if self._minutes.is_cut and len(groups) > 1:
            del groups[-1]  # some of its minutes may be missing
        return BarPage(groups, has_more=self._minutes.is_cut)

    def is_open(self, group: Group) -> bool:
        """Whether minutes of a bar may still change or come."""
        open_minute = self._minutes.open_minute
        if open_minute is not None and group.span.start <= open_minute < group.span.end:
            return True
        complete_to = self._minutes.complete_to
        return self.resolution.minutes > 1 and complete_to is not None and complete_to < group.span.end

    def values(self, bars: list[Bar]) -> list[dict[str, float]]:
        """The indicators after each of some bars, which are in order of time."""
        if not bars:
            return []
        symbol = self._minutes.state
        split = None if symbol is None else symbol.split
        self._minutes.allow_again()  # or a long page would leave none, and its first bars had no indicators
        before = self.page(Range(None, bars[0].start), WARM_UP_BARS, newest_first=True)
        state = Indicators()
        values: list[dict[str, float]] = []
        for bar in [*(group.bar() for group in reversed(before.groups)), *bars]:
            end = span_of(bar.start, self.resolution, self._zone).end
            if split is not None and state.minute is not None and state.minute < split.time < end:
                state = state.rescaled(split.new / split.old)
            state = state.advanced(bar.start, float(bar.close), bar.volume)
            values.append(state.values())
        return values[len(before.groups) :]

    def _keys(self, times: Range) -> KeyRange:
        """The minutes of the bars that begin in a range."""
        start, end = times
        if start is not None:
            start = first_start(min(start, LATEST), self.resolution, self._zone)
        if end is not None:
            end = None if end >= LATEST else first_start(end, self.resolution, self._zone)
        return bar_keys(ONE_MINUTE.name, start, end)

    def _groups(self, keys: KeyRange, *, newest_first: bool, expected: int) -> Iterator[Group]:
        items = self._minutes.read(keys, newest_first=newest_first, expected=expected)
        if self.resolution is ONE_MINUTE:
            for item in items:
                minute = start_of(item)
                yield Group(Span(minute, minute + MINUTE), item, [])
            return
        group: Group | None = None
        for item in items:
            bar = bar_of(item)
            if group is None or not group.span.start <= bar.start < group.span.end:
                if group is not None:
                    yield _in_order(group, newest_first=newest_first)
                group = Group(span_of(bar.start, self.resolution, self._zone), item, [])
            group.bars.append(bar)
        if group is not None:
            yield _in_order(group, newest_first=newest_first)


def _in_order(group: Group, *, newest_first: bool) -> Group:
    if newest_first:
        group.bars.reverse()
    return group
