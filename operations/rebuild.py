"""Rebuilds a day's bars from the archive, after a bug, a redrive, a replay, or quotes that came late.

It can be repeated and interrupted. The prices of a bar depend only on the archive. Its indicators also depend on the
stored bars before its day, and on those of minutes without quotes, such as the bars of a backfill. Only bars that
differ are written. Days are rebuilt in order, because each starts from the bars of the one before.

Before bars change, the first later minute that keeps its prices is marked: a bar without quotes, or the first one after
the day. `backfill.refold` computes the indicators from there on, in the stored bars and in the live state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime, time, timedelta

import msgspec

from bars import provenance
from bars.keys import start_of
from indicators import Indicators
from lane_state import Bar, LaneState
from operations import archive_reader
from operations.archive_reader import HOUR, ArchivedQuote, QuoteFilter
from operations.bar_computation import compute_bars, state_after
from operations.errors import WrongUsage
from operations.ports import BarTable, ObjectStore, Table
from operations.quote_sorter import QuoteSorter
from processor_lambda.rows import Row, bar_row, quote_row
from processor_lambda.settings import Settings
from processor_lambda.symbol_state import MINUTE
from processor_lambda.warmup import warmed_up
from quotes import GoodLine, Quote, decode

DAY = timedelta(days=1)
MIN_AGE = timedelta(hours=1)
"""How long ago a minute must have ended. The processor may still be working on a younger one."""
WARMUP_BARS = 1000
"""How many stored bars the indicators start from. Older bars weigh less than 1e-14 in the slowest indicator."""
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows the progress of a step with this name and number of parts. The function is called when parts are done."""


class Span(msgspec.Struct, frozen=True):
    """The minutes of a day that are rebuilt: those that start at or after `start` and end at or before `end`."""

    start: datetime
    end: datetime

    @property
    def midnight(self) -> datetime:
        """The end of the day."""
        return self.start + DAY

    @property
    def is_whole_day(self) -> bool:
        """Whether it covers the whole day."""
        return self.end == self.midnight

    @property
    def is_empty(self) -> bool:
        """Whether all minutes of the day are too young."""
        return self.end == self.start


class RebuildResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to one day of a symbol."""

    symbol: str
    bars: int
    """The number of bars that follow from the archive."""
    added: int
    """The number of bars that were missing in the table."""
    corrected: int
    """The number of bars that were different in the table."""
    without_quotes: int
    """The number of stored bars for which the archive has no quote, without those of a backfill. They stay."""
    expired: int
    """The number of bars that were not written because their time to live is over."""
    is_young: bool = False
    """Whether all quotes of the symbol are in minutes that are too young, so that nothing was done."""


def span_of(day: date, now: datetime) -> Span:
    """The part of a day (UTC) that is old enough, which may be empty. Raises `WrongUsage` for a day in the future."""
    start = datetime.combine(day, time(), UTC)
    if start > now:
        raise WrongUsage(f"{day} is in the future: it is {now:%Y-%m-%d %H:%M} (UTC) now")
    return Span(start, max(start, min(start + DAY, (now - MIN_AGE).replace(second=0, microsecond=0))))


def last_arrival(span: Span, arrived_until: datetime | None) -> datetime:
    """The time of the last arrivals that a rebuild reads: the one that was asked for, or the end of the next day."""
    return arrived_until or span.midnight + DAY - timedelta(microseconds=1)


class Rebuilder:
    """Rebuilds days of one deployment's bars."""

    def __init__(
        self,
        store: ObjectStore,
        bucket: str,
        bars: BarTable,
        quotes: Table,
        settings: Settings,
        *,
        mark: Callable[[str, datetime], None],
        progress: Progress = lambda *_: nullcontext(lambda _: None),
    ) -> None:
        """`mark` gets a symbol before its bars change, and the first minute whose indicators must be computed then."""
        self._store, self._bucket = store, bucket
        self._bars, self._quotes = bars, quotes
        self._settings = settings
        self._mark = mark
        self._progress = progress

    def rebuild(
        self,
        span: Span,
        symbols: frozenset[str] | None,
        *,
        now: datetime,
        arrived_until: datetime | None = None,
        dry_run: bool = False,
    ) -> Iterator[RebuildResult]:
        """Rebuild a day of some symbols (None: of all), one after the other. Symbols without a quote are left out.

        The last results are those of the symbols whose quotes are all too young.

        It uses the quotes that arrived up to `arrived_until`, or up to the end of the next day. Raises
        `OperationsError`. Nothing is written before the whole archive has been read.
        """
        with QuoteSorter() as sorter:
            last = min(now, last_arrival(span, arrived_until))
            # The hour before the day holds the last quotes of most symbols that trade round the clock.
            addresses = archive_reader.find_objects(self._store, self._bucket, span.start - HOUR, last)
            self._read(addresses, QuoteFilter(symbols=symbols, before=span.midnight), sorter.add)
            found = sorter.symbols(span.start, span.end)
            young = [symbol for symbol in sorter.symbols(span.end, span.midnight) if symbol not in found]
            warm: dict[str, Indicators] = {}
            with self._progress("warming up", len(found)) as on_progress:
                for symbol in found:
                    warm[symbol] = warmed_up(self._bars.before(symbol, span.start, WARMUP_BARS))
                    on_progress(1)
            self._read_earlier(span, warm, set(addresses), sorter)
            with self._progress(f"rebuilding {span.start:%Y-%m-%d}", len(found)) as on_progress:
                for symbol in found:
                    before = state_after(sorter.quotes(symbol, None, span.start))
                    quotes = sorter.quotes(symbol, span.start, span.end)
                    stored = self._bars.between(symbol, span.start, span.end)
                    others = _without_quotes(stored, quotes)
                    bars = compute_bars(
                        symbol,
                        quotes,
                        span.end,
                        before=before,
                        warm=self._in_new_shares(warm[symbol], symbol, span.start, before),
                        keep_lines=self._settings.row_resolution == "minute",
                        others=others,
                    )
                    later = [*map(_start_of, others), span.end]
                    yield self._write(symbol, stored, bars, later, now, dry_run=dry_run)
                    on_progress(1)
            for symbol in young:
                yield RebuildResult(
                    symbol=symbol, bars=0, added=0, corrected=0, without_quotes=0, expired=0, is_young=True
                )

    def _in_new_shares(self, warm: Indicators, symbol: str, start: datetime, before: LaneState) -> Indicators:
        """The indicators that a day starts from, after a split that the last quotes before the day show or declare."""
        state = before.symbols.get(symbol)
        if state is None or state.split is None or not state.split.is_applied:
            return warm
        return warmed_up(self._bars.before(symbol, start, WARMUP_BARS), [state.split])

    def _read(
        self,
        found: Iterable[str],
        wanted: QuoteFilter,
        add: Callable[[list[ArchivedQuote]], None],
        step: str = "reading the archive",
    ) -> None:
        addresses = archive_reader.in_stream_order(found)
        with self._progress(step, len(addresses)) as on_progress:
            for quotes in archive_reader.read_quotes(self._store, addresses, wanted, on_progress):
                add(quotes)

    def _read_earlier(self, span: Span, warm: dict[str, Indicators], known: set[str], sorter: QuoteSorter) -> None:
        """Read the last quotes before the day of the symbols that had none in the hour before it.

        They are the quotes of the symbol's last stored bar. They arrived in the hour of that bar, or in the next one if
        the source delays its quotes.
        """
        wanted: dict[datetime, set[str]] = {}
        for symbol, minute in ((symbol, indicators.minute) for symbol, indicators in warm.items()):
            if minute is not None and symbol not in sorter.symbols(minute, span.start):
                wanted.setdefault(minute.replace(minute=0), set()).add(symbol)
        if not wanted:
            return
        addresses = {
            address
            for hour in wanted
            for address in archive_reader.find_objects(self._store, self._bucket, hour, hour + 2 * HOUR - MINUTE)
        }
        quote_filter = QuoteFilter(symbols=frozenset().union(*wanted.values()), before=span.start)
        self._read(addresses - known, quote_filter, sorter.add_earlier, "reading earlier days of the archive")

    def _write(
        self,
        symbol: str,
        found: Sequence[Row],
        bars: list[Bar],
        later: Sequence[datetime],
        now: datetime,
        *,
        dry_run: bool,
    ) -> RebuildResult:
        """Write the bars that differ from the stored ones. They replace bars of any provenance.

        `later` are the minutes that are not computed here, in order, and the end of the day. The first of them that
        follows a change is marked.
        """
        stored = {row["key"]: row for row in found}
        rows = {row["key"]: row for row in (bar_row(bar, self._settings.bar_ttl_days) for bar in bars)}
        unexpired = {key: row for key, row in rows.items() if not _is_expired(row, now)}
        different = {
            key: {**row, provenance.ATTRIBUTE: provenance.REBUILD}
            for key, row in unexpired.items()
            if key not in stored or _content(stored[key]) != _content(row)
        }
        if not dry_run:
            self._quotes.put([row for bar in bars if bar.line for row in self._minute_rows(bar)])
            if different:
                first = min(map(_start_of, different.values()))
                self._mark(symbol, next(minute for minute in later if minute > first))
            self._bars.put(list(different.values()))
        return RebuildResult(
            symbol=symbol,
            bars=len(bars),
            added=len(different.keys() - stored.keys()),
            corrected=len(different.keys() & stored.keys()),
            without_quotes=sum(
                provenance.provenance_of(row) != provenance.BACKFILL for key, row in stored.items() if key not in rows
            ),
            expired=len(rows) - len(unexpired),
        )

    def _minute_rows(self, bar: Bar) -> list[Row]:
        """The row of a bar's last quote, which is the row of the minute."""
        settings = self._settings
        return [
            quote_row(good.line, settings.anomaly_percent, settings.quote_ttl_days)
            for good in decode(bar.line).good
            if isinstance(good.line, Quote)
        ]


def _without_quotes(rows: Iterable[Row], quotes: Iterable[GoodLine]) -> list[Row]:
    """The stored bars of minutes that have no quote."""
    times = (quote.line.event_time for quote in quotes if isinstance(quote.line, Quote))
    minutes = {time.replace(second=0, microsecond=0) for time in times}
    return [row for row in rows if _start_of(row) not in minutes]


def _start_of(row: Row) -> datetime:
    return start_of(str(row["key"]))


def _content(row: Row) -> Row:
    """What a bar says: its prices, volume, quotes and indicators."""
    return {name: value for name, value in row.items() if name not in (provenance.ATTRIBUTE, "expires_at")}


def _is_expired(row: Row, now: datetime) -> bool:
    expires_at = row.get("expires_at")
    return expires_at is not None and int(expires_at) <= now.timestamp()
