"""Counts what the running pipeline stores. The event-source runner feeds it, the view and the summary read it."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from datetime import timedelta
from decimal import Decimal

import msgspec

from processor_lambda.rows import change_percent_of
from quotes import Quote, decode
from replica.event_source import InvocationReport

MILLISECOND = timedelta(milliseconds=1)
RATE_SECONDS = 5.0
"""The displayed rate is an average over this many seconds."""


class Price(msgspec.Struct, frozen=True):
    """The last stored price of a symbol."""

    symbol: str
    price: Decimal
    change_percent: Decimal | None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of the pipeline at one instant."""

    stored: int
    batches: int
    failed_batches: int
    quotes_per_second: float
    p50: float | None
    """The median latency in seconds: from the producer's receipt of a quote to the end of its storing invocation."""
    p99: float | None
    """The 99th percentile of the latency, in seconds."""
    prices: tuple[Price, ...]
    """The last prices, sorted by symbol."""


class Monitor:
    """Counts invocations and stored quotes. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stored = 0
        self._latencies: Counter[int] = Counter()  # by whole milliseconds, so its size does not grow with the run
        self._batches = 0
        self._failed = 0
        self._recent: deque[tuple[float, int]] = deque()
        self._prices: dict[str, Price] = {}

    def on_batch(self, report: InvocationReport) -> None:
        """Note the result of an invocation. The records that it finished are stored."""
        quotes = [
            good.line
            for record in report.records[: report.finished]
            for good in decode(record.data).good
            if isinstance(good.line, Quote)
        ]
        with self._lock:
            self._batches += 1
            self._failed += report.result != "success"
            self._recent.append((time.monotonic(), len(quotes)))
            for quote in quotes:
                self._stored += 1
                self._latencies[(report.finished_at - quote.ingest_time) // MILLISECOND] += 1
                self._prices[quote.symbol] = Price(quote.symbol, quote.price, change_percent_of(quote))

    def snapshot(self, prices: int) -> Snapshot:
        """The figures so far, with the last prices of the first `prices` symbols."""
        with self._lock:
            now = time.monotonic()
            while self._recent and self._recent[0][0] < now - RATE_SECONDS:
                self._recent.popleft()
            return Snapshot(
                stored=self._stored,
                batches=self._batches,
                failed_batches=self._failed,
                quotes_per_second=sum(count for _, count in self._recent) / RATE_SECONDS,
                p50=percentile(self._latencies, 50),
                p99=percentile(self._latencies, 99),
                prices=tuple(self._prices[symbol] for symbol in sorted(self._prices)[:prices]),
            )


def percentile(milliseconds: Counter[int], percent: int) -> float | None:
    """The nearest-rank percentile of counted milliseconds, in seconds; None if the counter is empty."""
    rank = -(-milliseconds.total() * percent // 100)
    for value in sorted(milliseconds):
        rank -= milliseconds[value]
        if rank <= 0:
            return value / 1000
    return None
