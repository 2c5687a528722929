"""What `compact` reads beside raw objects: the table of bars, the table of calendars, and the chunks of backfills."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any

from backfill import chunk_file
from backfill.errors import Unreadable
from backfill.rows import asked_spans
from bars.coverage import coverage_of
from bars.keys import ONE_MINUTE, asked_keys, bar_keys, start_of
from bars.resolutions import MINUTE, Span
from bars.sessions import Session, SymbolCalendar
from compaction.errors import Damaged, Unavailable
from compaction.ports import Archive, Backfilled
from operations.backfill_stores import BackfillBars
from operations.calendar_table import CalendarTable
from operations.errors import OperationsError

SESSION_DAYS = timedelta(days=35)
"""The sessions of so many days are read again, because a backfill may have asked for their minutes since."""
_DAY = timedelta(days=1)


class StoredHistory:
    """It implements `compaction.ports.History`."""

    def __init__(
        self, archive: Archive, bars: BackfillBars, calendars: CalendarTable, whole_from: date = date.min
    ) -> None:
        """`whole_from` is the first day of which no minute has expired. What was said of earlier sessions stays."""
        self._archive, self._bars, self._calendars = archive, bars, calendars
        self._whole_from = whole_from.isoformat()

    def symbols(self) -> list[str]:
        """See `compaction.ports.History`."""
        with _translated():
            return list(self._calendars.symbols())

    def bars(self, symbol: str, resolution: str, start: datetime, end: datetime) -> Iterator[Mapping[str, Any]]:
        """See `compaction.ports.History`."""
        with _translated():
            yield from self._bars.each_between(symbol, *bar_keys(resolution, start, end))

    def chunks(self, since: datetime | None) -> Iterator[Backfilled]:
        """See `compaction.ports.History`."""
        for each in self._archive.objects(chunk_file.PREFIX):
            if chunk_file.chunk_of(each.key) is None or (since is not None and each.written_at < since):
                continue
            body = self._archive.get(each.key)
            if body is None:
                continue
            try:
                found = chunk_file.decode_chunk(body, f"{self._archive.root}/{each.key}")
            except Unreadable as error:
                raise Damaged(str(error)) from error
            chunk = found.chunk
            yield Backfilled(
                key=each.key,
                symbol=chunk.symbol,
                resolution=chunk.resolution,
                start=chunk.start,
                end=chunk.end,
                fetched_at=found.fetched_at,
                actions=tuple(found.actions),
            )

    def sessions(self, before: datetime) -> Iterator[Mapping[str, Any]]:
        """See `compaction.ports.History`."""
        with _translated():
            for symbol, calendar in self._calendars.watched().items():
                found = self._calendars.sessions_of(calendar, before - SESSION_DAYS, before).sessions
                ended = [each for each in found if each.closes <= before and each.day >= self._whole_from]
                quiet = self._quiet(symbol, ended)
                for each in ended:
                    yield _row(symbol, calendar, each, quiet)

    def _quiet(self, symbol: str, sessions: list[Session]) -> set[datetime]:
        """The minutes of sessions that the source has no bar of, and the table neither."""
        if not sessions:
            return set()
        start, end = sessions[0].opens, sessions[-1].closes
        asked = asked_spans(self._bars.between(symbol, *asked_keys(ONE_MINUTE, start - SESSION_DAYS, end + _DAY)))
        cut = (Span(max(span.start, start), min(span.end, end)) for span in asked)
        minutes = {minute for span in cut for minute in span.minutes()}
        if not minutes:
            return set()
        keys = self._bars.provenances(symbol, *bar_keys(ONE_MINUTE, min(minutes), max(minutes) + MINUTE))
        return minutes - {start_of(key) for key in keys}


def _row(symbol: str, calendar: SymbolCalendar, session: Session, quiet: set[datetime]) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "calendar": calendar.calendar,
        "timezone": calendar.timezone,
        "day": datetime.fromisoformat(session.day).date(),
        "opens": session.opens.replace(tzinfo=None),
        "closes": session.closes.replace(tzinfo=None),
        "expected": coverage_of([(session.opens, session.closes)], ()).expected,
        "without_trades": sum(session.opens <= minute < session.closes for minute in quiet),
    }


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OperationsError as error:
        raise Unavailable(str(error)) from error
