"""Rebuilds a day's bars from the archive: after a bug, a redrive, or quotes that came late.

Idempotent, and safe to interrupt: a bar is a function of what the archive holds and of the bars before its day, and
only what differs is written. Days are rebuilt in their order, since each starts where the one before it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime, time, timedelta

import msgspec

from lane_state import Bar
from operations import archive
from operations.archive import HOUR, Pick
from operations.errors import WrongUsage
from operations.ports import Bars, Objects, Rows
from operations.quote_sorter import Collation
from operations.refolding import refold
from processor_lambda.indicators import Indicators
from processor_lambda.rows import Row, bar_row, quote_row
from processor_lambda.settings import Settings
from processor_lambda.symbol_state import MINUTE
from processor_lambda.warmup import warmed_up
from quotes import Quote, decode

DAY = timedelta(days=1)
MIN_AGE = timedelta(hours=1)
"""Of a minute: the live path may still be at work on a younger one."""
WARMING_BARS = 1000
"""Stored bars that the indicators start from: what lies before weighs less than 1e-14 in the slowest of them."""
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


class Span(msgspec.Struct, frozen=True):
    """The minutes of a day that are rebuilt: from `start` on, those that end by `end`."""

    start: datetime
    end: datetime

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole day."""
        return self.end == self.start + DAY


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a symbol's day."""

    symbol: str
    bars: int
    added: int
    corrected: int
    without_quotes: int
    """Bars that are stored and that the archive has no quote for. They stay."""
    expired: int
    """Bars that were not written, since their time to live is over."""


def span_of(day: date, now: datetime) -> Span:
    """The part of a day (UTC) that is old enough. Raises `WrongUsage` if none of it is."""
    start = datetime.combine(day, time(), UTC)
    end = min(start + DAY, (now - MIN_AGE).replace(second=0, microsecond=0))
    if end <= start:
        raise WrongUsage(f"{day}: only minutes that ended over an hour ago can be rebuilt, and it has none")
    return Span(start, end)


class Rebuilder:
    """Rebuilds days of one deployment's bars."""

    def __init__(
        self,
        objects: Objects,
        bucket: str,
        bars: Bars,
        quotes: Rows,
        settings: Settings,
        *,
        progress: Progress = lambda *_: nullcontext(lambda _: None),
    ) -> None:
        self._objects, self._bucket = objects, bucket
        self._bars, self._quotes = bars, quotes
        self._settings = settings
        self._progress = progress

    def rebuild(
        self,
        span: Span,
        symbols: frozenset[str] | None,
        *,
        now: datetime,
        arrived_until: datetime | None = None,
        dry_run: bool = False,
    ) -> Iterator[Rebuilt]:
        """Rebuild a day of some symbols, or of all (None); one after the other, those without a quote left out.

        Quotes count that arrived until a time, which is the end of the next day if it is not given. Raises
        `OperationsError`; before the first symbol is done, nothing has been written.
        """
        with Collation() as collation:
            last = min(now, arrived_until or span.start + 2 * DAY - timedelta(microseconds=1))
            # From an hour before, which has the last quotes of most symbols that are quoted round the clock.
            addresses = archive.arrived_between(self._objects, self._bucket, span.start - HOUR, last)
            self._read(addresses, Pick(symbols=symbols, before=span.end), collation.add)
            found = collation.symbols(span.start, span.end)
            warm: dict[str, Indicators] = {}
            with self._progress("warming up", len(found)) as told:
                for symbol in found:
                    warm[symbol] = warmed_up(self._bars.before(symbol, span.start, WARMING_BARS))
                    told(1)
            self._read_before(span, warm, set(addresses), collation)
            with self._progress(f"rebuilding {span.start:%Y-%m-%d}", len(found)) as told:
                for symbol in found:
                    bars = refold(
                        symbol,
                        collation.quotes(symbol, span.start, span.end),
                        span.end,
                        earlier=collation.quotes(symbol, None, span.start),
                        warm=warm[symbol],
                        keep_lines=self._settings.row_resolution == "minute",
                    )
                    yield self._put(symbol, span, bars, now, dry_run=dry_run)
                    told(1)

    def _read(
        self, found: Iterable[str], pick: Pick, add: Callable[[list[archive.Archived]], None], what: str = "reading"
    ) -> None:
        addresses = archive.in_order(found)
        with self._progress(f"{what} the archive", len(addresses)) as told:
            for quotes in archive.read(self._objects, addresses, pick, told):
                add(quotes)

    def _read_before(self, span: Span, warm: dict[str, Indicators], known: set[str], collation: Collation) -> None:
        """Find the last quotes before the day of symbols that had none in the hours before it.

        They are those of the last stored bar, and arrived in its hour, or in the next, as some are delayed.
        """
        wanted: dict[datetime, set[str]] = {}
        for symbol, minute in ((symbol, indicators.minute) for symbol, indicators in warm.items()):
            if minute is not None and not collation.quotes(symbol, minute, span.start):
                wanted.setdefault(minute.replace(minute=0), set()).add(symbol)
        if not wanted:
            return
        addresses = {
            address
            for hour in wanted
            for address in archive.arrived_between(self._objects, self._bucket, hour, hour + 2 * HOUR - MINUTE)
        }
        pick = Pick(symbols=frozenset().union(*wanted.values()), before=span.start)
        self._read(addresses - known, pick, collation.add_earlier, "looking back in")

    def _put(self, symbol: str, span: Span, bars: list[Bar], now: datetime, *, dry_run: bool) -> Rebuilt:
        stored = {row["minute"]: row for row in self._bars.between(symbol, span.start, span.end)}
        rows = {row["minute"]: row for row in (bar_row(bar, self._settings.bar_ttl_days) for bar in bars)}
        living = {minute: row for minute, row in rows.items() if not _is_expired(row, now)}
        different = {minute: row for minute, row in living.items() if stored.get(minute) != row}
        if not dry_run:
            self._quotes.put([row for bar in bars if bar.line for row in self._minute_row(bar)])
            self._bars.put(list(different.values()))
        return Rebuilt(
            symbol=symbol,
            bars=len(bars),
            added=len(different.keys() - stored.keys()),
            corrected=len(different.keys() & stored.keys()),
            without_quotes=len(stored.keys() - rows.keys()),
            expired=len(rows) - len(living),
        )

    def _minute_row(self, bar: Bar) -> list[Row]:
        settings = self._settings
        return [
            quote_row(good.line, settings.anomaly_percent, settings.quote_ttl_days)
            for good in decode(bar.line).good
            if isinstance(good.line, Quote)
        ]


def _is_expired(row: Row, now: datetime) -> bool:
    expires_at = row.get("expires_at")
    return expires_at is not None and int(expires_at) <= now.timestamp()
