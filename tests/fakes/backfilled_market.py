"""A market whose minutes are backfilled: sessions, the source's history, what is stored, and one run after another."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from backfill import refold_note
from backfill.chunks import SourceBar
from backfill.days import days_of, minutes_of
from backfill.plan import DayRange, Limit
from backfill.planner import Plan, Planner, Wish
from backfill.ports import ignored
from backfill.refold import Refolder
from backfill.runner import Progress, Runner
from backfill.summary import Summary
from bars.keys import bar_key
from bars.sessions import Session, SymbolCalendar
from processor_lambda.rows import Row
from tests.fakes.backfill_ports import (
    MemoryBars,
    MemoryCharts,
    MemoryChunks,
    MemoryLive,
    MemorySessions,
    Process,
    bar_at,
)

NEW_YORK = SymbolCalendar("XNYS", "America/New_York")
NOBODY_KNOWS = SymbolCalendar("unknown", "UTC")
LIMITS = {
    "1m": Limit(timedelta(days=30), timedelta(days=7)),
    "5m": Limit(timedelta(days=60), timedelta(days=60)),
    "1h": Limit(timedelta(days=730), timedelta(days=730)),
    "1d": Limit(None, None),
}
NOW = datetime(2026, 11, 28, 1, 10, tzinfo=UTC)
MINUTES_A_SESSION = 6


def short_sessions(first: date, days: int, minutes: int = MINUTES_A_SESSION) -> list[Session]:
    """Sessions of a few minutes on weekdays, so that a test is short."""
    found: list[Session] = []
    for day in (first + timedelta(days=each) for each in range(days)):
        if day.weekday() < 5:
            opens = datetime.combine(day, time(9, 30), NEW_YORK.zone).astimezone(UTC)
            found.append(Session(day.isoformat(), opens, opens + timedelta(minutes=minutes)))
    return found


class BackfilledMarket:
    """Two weeks of short sessions of some symbols. The source has every minute, unless a test removes some."""

    def __init__(self, symbols: Collection[str] = ("AAPL", "MSFT"), minutes: int = MINUTES_A_SESSION) -> None:
        self.process = Process()
        self.sessions = short_sessions(date(2026, 11, 16), 12, minutes)
        self.bars, self.chunks = MemoryBars(self.process), MemoryChunks(self.process)
        self.now = NOW
        self.runs = 0
        self.charts = MemoryCharts(lambda: self.now, self.process)
        self.live = MemoryLive(self.process)
        self.symbols = dict.fromkeys(symbols, NEW_YORK)
        days = days_of(self.sessions, NEW_YORK.zone)
        self.minutes = [minute for day in days for minute in minutes_of(day)]
        for symbol in symbols:
            self.charts.history[symbol, "1m"] = [bar_at(minute) for minute in self.minutes]
            self.charts.history[symbol, "1d"] = [bar_at(day.midnight) for day in days]

    def stream(self, symbol: str, minutes: Collection[datetime], price: int = 100) -> None:
        """Store minutes as the stream does."""
        for minute in minutes:
            row = stream_row(symbol, bar_at(minute, price))
            self.bars.rows[symbol, str(row["key"])] = row

    def plan(self, *, resolution: str = "1m", again: bool = False, over_stream: bool = False) -> Plan:
        """Plan to fill the two weeks."""
        wish = Wish(
            symbols=self.symbols,
            resolution=resolution,
            limit=LIMITS[resolution],
            days=DayRange(date(2026, 11, 16), date(2026, 11, 27)),
            again=again,
            over_stream=over_stream,
        )
        return Planner(self.bars, self.chunks, MemorySessions({"XNYS": self.sessions})).plan(wish, self.now)

    def run(
        self,
        *,
        resolution: str = "1m",
        again: bool = False,
        over_stream: bool = False,
        on_progress: Progress = ignored,
        summary: Summary | None = None,
    ) -> Summary:
        """Plan and run, as the command does."""
        plan = self.plan(resolution=resolution, again=again, over_stream=over_stream)
        summary = Summary(resolution=resolution) if summary is None else summary
        self.runs += 1
        refolder = Refolder(self.bars, self.chunks, self.live, run=f"run {self.runs}", now=lambda: self.now)
        runner = Runner(self.bars, self.chunks, self.charts, refolder, now=lambda: self.now, ttl_days=365)
        runner.fill(plan, summary, on_progress)
        runner.refold(plan, summary, on_progress)
        return summary

    def history(self) -> dict[tuple[str, ...], Row]:
        """All rows but the notes about indicators, which name runs."""
        return {key: row for key, row in self.bars.rows.items() if key[1] != refold_note.KEY}

    def prices(self, symbol: str, resolution: str = "1m") -> list[SourceBar]:
        """The stored bars of a symbol, as the source has them."""
        return [source_bar(row) for row in self.bars.bars(symbol, resolution).values()]


def stream_row(symbol: str, bar: SourceBar) -> Row:
    """The row of a minute that the stream stored."""
    row: Row = {
        "symbol": symbol,
        "key": bar_key("1m", bar.start),
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "quotes": 6,
    }
    return row if bar.volume is None else row | {"volume": bar.volume}


def source_bar(row: Row) -> SourceBar:
    """The bar of a row."""
    start = datetime.fromisoformat(str(row["key"]).partition("#")[2])
    first, high, low, close = (Decimal(row[name]) for name in ("open", "high", "low", "close"))
    volume = row.get("volume")
    return SourceBar(start, first, high, low, close, None if volume is None else int(volume))
