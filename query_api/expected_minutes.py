"""Which minutes of a symbol should have a bar: those of its sessions, except those known to be without trades."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import cache

from bars.coverage import LONGEST_DAY, WITHOUT_TRADES, coverage_of, spans_of
from bars.keys import ONE_MINUTE, asked_keys
from bars.resolutions import MINUTE, Span
from bars.sessions import Sessions
from query_api.ports import Stores, texts
from query_api.sessions import read_sessions
from query_api.stored_bars import StoredBars
from query_api.symbol_facts import SymbolFacts

_MONTH = timedelta(days=31) + LONGEST_DAY
"""A month, and the longest bar that begins in it."""
_MOST_ASKED = (_MONTH + 2 * LONGEST_DAY).days
"""There is an item for each day."""


class ExpectedMinutes:
    """The expected minutes of one symbol, for one request.

    They are read only when some are asked for, and then for a whole month, in two requests.
    """

    def __init__(self, facts: SymbolFacts, stores: Stores) -> None:
        self._facts, self._stores = facts, stores
        self._sessions, self._quiet = cache(self._read_sessions), cache(self._read_quiet)

    def are_all_in(self, span: Span, covered: Collection[datetime]) -> bool:
        """Whether these minutes are all that are expected in a span of time. See `bars.layers`."""
        if len(covered) * MINUTE >= span.end - span.start and not coverage_of([span], covered).gaps:
            return True  # whatever the sessions are
        month = datetime(span.start.year, span.start.month, 1, tzinfo=UTC)
        known = self._sessions(month)
        if known is None or known.known_from > span.start or known.known_to < span.end:
            return False
        expected = [(max(each.opens, span.start), min(each.closes, span.end)) for each in known.sessions]
        gaps = coverage_of(expected, covered).gaps
        quiet = self._quiet(month) if gaps else ()
        return all(minute in quiet for gap in gaps for minute in Span(gap.start, gap.end).minutes())

    def _read_sessions(self, month: datetime) -> Sessions | None:
        calendar = self._facts.calendar
        if calendar is None:
            return None
        return read_sessions(self._stores.sessions, calendar.of_possible_trades, month, month + _MONTH)

    def _read_quiet(self, month: datetime) -> set[datetime]:
        keys = asked_keys(ONE_MINUTE, month - LONGEST_DAY, month + _MONTH)
        reader = StoredBars(self._stores.bars, self._facts.symbol, _MOST_ASKED)
        items = reader.read(keys, newest_first=False, expected=_MOST_ASKED)
        spans = [each for item in items for each in spans_of(texts(item)[WITHOUT_TRADES])]
        return {minute for span in spans for minute in span.minutes()}
