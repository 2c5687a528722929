"""Pages of bars of any resolution, made of the minutes of a symbol, and of coarser bars where minutes are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bars.keys import STORED_RESOLUTIONS, KeyRange, bar_keys
from bars.layers import IsComplete, Piece, layered
from bars.resolutions import (
    MINUTE,
    ONE_HOUR,
    ONE_MINUTE,
    RESOLUTIONS,
    Bar,
    Resolution,
    Span,
    first_start,
    merged,
    span_of,
)
from indicators import Indicators
from query_api.minutes import Minutes
from query_api.parameters import Range
from query_api.ports import Item
from query_api.stored_bars import bar_of, start_of

WARM_UP_BARS = 200
"""Indicators of coarser bars begin this many bars before the first bar of a page.

An average over 26 bars then holds less than a millionth of what came before those."""
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""No bar is later."""


class Group(NamedTuple):
    """What one bar is made of."""

    span: Span
    row: Item | None
    """The row of a minute. None for a coarser bar."""
    bars: list[Bar]
    """The bars that a coarser bar is made of, in order of time. They take a tenth of the memory of their rows."""

    def bar(self) -> Bar:
        """The bar."""
        return merged(self.bars, self.span.start) if self.row is None else bar_of(self.row)


class BarPage(NamedTuple):
    """Bars in the order that was asked for."""

    groups: list[Group]
    has_more: bool
    """Whether there may be more bars after the last one here."""


class BarReader:
    """Reads the bars of one symbol and one resolution."""

    def __init__(self, minutes: Minutes, resolution: Resolution, zone: ZoneInfo, is_complete: IsComplete) -> None:
        self._minutes, self.resolution, self._zone, self._is_complete = minutes, resolution, zone, is_complete
        stored = [each for each in map(RESOLUTIONS.__getitem__, STORED_RESOLUTIONS) if each is not ONE_MINUTE]
        self._coarser = {each: minutes.coarser() for each in stored if each.minutes <= resolution.minutes}

    def page(self, times: Range, limit: int, *, newest_first: bool) -> BarPage:
        """Up to `limit` bars that begin in a range. Each is made of all its minutes, also of those past the range."""
        groups: list[Group] = []
        for group in self._groups(_bounded(times), limit, newest_first=newest_first):
            if len(groups) == limit:
                return BarPage(groups, has_more=True)
            groups.append(group)
        if self._is_cut and len(groups) > 1:
            del groups[-1]  # some of its minutes may be missing
        return BarPage(groups, has_more=self._is_cut)

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
        for reader in self._coarser.values():
            reader.allow_again()
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

    @property
    def _is_cut(self) -> bool:
        return self._minutes.is_cut or any(reader.is_cut for reader in self._coarser.values())

    def _groups(self, times: Range, limit: int, *, newest_first: bool) -> Iterator[Group]:
        if self.resolution is ONE_MINUTE:
            for item in self._minutes.read(self._keys(times), newest_first=newest_first, expected=limit + 1):
                minute = start_of(item)
                yield Group(Span(minute, minute + MINUTE), item, [])
            return
        group: Group | None = None
        for piece in self._pieces(self._wide(times), limit, newest_first=newest_first):
            if self._is_cut:
                break  # finer bars may be missing here
            start = piece.bar.start
            is_whole = piece.resolution is self.resolution
            if group is None or is_whole or not group.span.start <= start < group.span.end:
                if group is not None and _begins_in(group, times):
                    yield _in_order(group, newest_first=newest_first)
                span = piece.span(self._zone) if is_whole else span_of(start, self.resolution, self._zone)
                group = Group(span, None, [])
            group.bars.append(piece.bar)
        if group is not None and _begins_in(group, times):
            yield _in_order(group, newest_first=newest_first)

    def _pieces(self, times: Range, limit: int, *, newest_first: bool) -> Iterator[Piece]:
        """The minutes of a range, and the stored coarser bars of the times whose finer ones are incomplete."""
        expected = (limit + 1) * self.resolution.minutes
        items = self._minutes.read(self._keys(times), newest_first=newest_first, expected=expected)
        pieces = _pieces_of(items, ONE_MINUTE)
        for resolution, reader in self._coarser.items():
            keys, most = bar_keys(resolution.name, *times), expected // resolution.minutes
            coarser = reader.read(keys, newest_first=newest_first, expected=most)
            stored = _pieces_of(coarser, resolution)
            pieces = layered(pieces, stored, self._is_complete, self._zone, newest_first=newest_first)
        return pieces

    def _wide(self, times: Range) -> Range:
        """The times of which bars have to be read for the bars that begin in a range.

        Stored bars of an hour may begin within an hour of the clock, also in the hour before midnight. So an hour on
        both sides is read too, to find which bars give way to them.
        """
        start, end = times
        around = timedelta(minutes=ONE_HOUR.minutes if self.resolution.minutes >= ONE_HOUR.minutes else 0)
        if start is not None:
            start = first_start(start, self.resolution, self._zone) - around
        if end is not None:
            end = min(first_start(end, self.resolution, self._zone) + around, LATEST)
        return Range(start, end)

    @staticmethod
    def _keys(times: Range) -> KeyRange:
        return bar_keys(ONE_MINUTE.name, *times)


def _bounded(times: Range) -> Range:
    """A range without what is later than any bar."""
    start, end = times
    return Range(start and min(start, LATEST), None if end is None or end >= LATEST else end)


def _begins_in(group: Group, times: Range) -> bool:
    start = group.span.start
    return (times.start is None or start >= times.start) and (times.end is None or start < times.end)


def _pieces_of(items: Iterable[Item], resolution: Resolution) -> Iterator[Piece]:
    for item in items:
        yield Piece(bar_of(item), resolution)


def _in_order(group: Group, *, newest_first: bool) -> Group:
    if newest_first:
        group.bars.reverse()
    return group
